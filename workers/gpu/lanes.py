"""Both lanes of one route as one subscription: whenever a place is free, the high one is asked first.

Strictly so: while high messages keep coming, no normal one is taken. Who may send how many of them is for allowances
to say, and the age of the normal lane's oldest message tells when they send too many.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.errors import RetryableError
from shared.lanes import is_high
from shared.pubsub import Delivery, Subscription

_log = logging.getLogger(__name__)

#: What an ack id begins with when it is the high lane's.
_HIGH: Final = "high/"
_NORMAL: Final = "normal/"


@dataclass(frozen=True, slots=True)
class Lanes:
    """A Subscription (shared/pubsub.py) whose ack ids name the lane they are good for."""

    high: Subscription
    normal: Subscription
    #: So long the high lane is waited for.
    high_seconds: float

    def pull(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
        """At most `limit` messages, of one lane; a message on the high lane that is not of it is acknowledged there.

        Filters tell the lanes apart; the emulator has none, so that each lane brings every message. The high lane
        drops those that the normal one brings, too. The normal lane drops none: the job's lease keeps one that both
        bring from being done twice, and one that only this lane brings is not lost.
        """
        while pulled := self.high.pull(limit, timeout_seconds=self.high_seconds):
            strays = [each for each in pulled if not is_high(each.attributes)]
            for stray in strays:
                self._drop(stray)
            if len(strays) < len(pulled):
                return [_of(_HIGH, each) for each in pulled if each not in strays]
        return [_of(_NORMAL, each) for each in self.normal.pull(limit, timeout_seconds=timeout_seconds)]

    def ack(self, ack_id: str) -> None:
        lane, own = self._lane(ack_id)
        lane.ack(own)

    def nack(self, ack_id: str) -> None:
        lane, own = self._lane(ack_id)
        lane.nack(own)

    def extend(self, ack_ids: Sequence[str], seconds: int) -> None:
        for ack_id in ack_ids:
            lane, own = self._lane(ack_id)
            lane.extend([own], seconds)

    def _lane(self, ack_id: str) -> tuple[Subscription, str]:
        lane = self.high if ack_id.startswith(_HIGH) else self.normal
        return lane, ack_id.partition("/")[2]

    def _drop(self, stray: Delivery) -> None:
        try:
            self.high.ack(stray.ack_id)
        except RetryableError as error:
            # It comes again, and is dropped then.
            _log.warning("stray not dropped", extra={"event": "drain.unanswered", "error": error.reason_code})


def _of(lane: str, delivery: Delivery) -> Delivery:
    return replace(delivery, ack_id=lane + delivery.ack_id)
