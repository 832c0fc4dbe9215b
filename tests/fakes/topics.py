"""Pub/Sub in memory: topics, and pull subscriptions with ack deadlines, redelivery and filters."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from shared.errors import Misconfigured
from shared.pubsub import Delivery
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults
from tests.unit.pubsub_filter import matches

#: Real seconds an empty pull waits at most: fake time does not pass by itself.
_PULL_SECONDS = 0.01


@dataclass(frozen=True)
class Published:
    topic: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str] = field(hash=False)


@dataclass
class _Held:
    """A message as one subscription sees it: not delivered again before `due`."""

    message: Published
    due: datetime
    ack_id: str = ""
    deliveries: int = 0


@dataclass
class FakeSubscription:
    """One pull subscription of one topic."""

    clock: FakeClock
    faults: Faults
    name: str
    filter: str = ""
    ack_deadline_seconds: float = 60
    #: The retry policy's least backoff, after a nack.
    retry_seconds: float = 10
    acked: list[str] = field(default_factory=list)
    nacked: list[str] = field(default_factory=list)
    extended: list[tuple[str, int]] = field(default_factory=list)
    _held: list[_Held] = field(default_factory=list)
    _numbers: Iterable[int] = field(default_factory=lambda: count(1))
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def pull(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
        def do() -> Sequence[Delivery]:
            with self._changed:
                self._changed.wait_for(self._due, min(timeout_seconds, _PULL_SECONDS))
                return tuple(self._deliver(held) for held in self._due()[:limit])

        return self.faults.during(f"{self.name}.pull", do)

    def ack(self, ack_id: str) -> None:
        def do() -> None:
            with self._changed:
                if held := self._find(ack_id):
                    self._held.remove(held)
                    self.acked.append(held.message.message_id)

        self.faults.during(f"{self.name}.ack", do)

    def nack(self, ack_id: str) -> None:
        def do() -> None:
            with self._changed:
                if held := self._find(ack_id):
                    held.due, held.ack_id = self.clock.now() + timedelta(seconds=self.retry_seconds), ""
                    self.nacked.append(held.message.message_id)

        self.faults.during(f"{self.name}.nack", do)

    def extend(self, ack_ids: Sequence[str], seconds: int) -> None:
        def do() -> None:
            with self._changed:
                for held in filter(None, map(self._find, ack_ids)):
                    held.due = self.clock.now() + timedelta(seconds=seconds)
                    self.extended.append((held.message.message_id, seconds))

        self.faults.during(f"{self.name}.extend", do)

    def add(self, message: Published) -> None:
        """From the topic; what the filter does not match is gone for good."""
        if self.filter and not matches(self.filter, message.attributes):
            return
        with self._changed:
            self._held.append(_Held(message, self.clock.now()))
            self._changed.notify_all()

    @property
    def waiting(self) -> list[Published]:
        """Everything not acknowledged."""
        with self._changed:
            return [held.message for held in self._held]

    def picture(self) -> tuple[object, ...]:
        """What is held, as a value that can be compared, and put back by `restore`."""
        return tuple((held.message, held.due, held.ack_id, held.deliveries) for held in self._held)

    def restore(self, picture: Any) -> None:
        self._held = [_Held(*held) for held in picture]
        for noted in (self.acked, self.nacked, self.extended):
            noted.clear()

    @property
    def has_due(self) -> bool:
        """Would a pull be answered at once?"""
        return bool(self._due())

    def redeliver(self) -> None:
        """What is with somebody comes again, as it may at any time: delivery is at least once."""
        for held in self._held:
            held.due = min(held.due, self.clock.now())

    def _due(self) -> list[_Held]:
        return [held for held in self._held if held.due <= self.clock.now()]

    def _deliver(self, held: _Held) -> Delivery:
        held.deliveries += 1
        held.ack_id = f"{held.message.message_id}/{held.deliveries}"
        held.due = self.clock.now() + timedelta(seconds=self.ack_deadline_seconds)
        return Delivery(held.ack_id, held.message.message_id, held.message.data, held.message.attributes)

    def _find(self, ack_id: str) -> _Held | None:
        """An ack id is good until its deadline or the next delivery."""
        now = self.clock.now()
        return next((held for held in self._held if held.ack_id == ack_id and held.due > now), None)


@dataclass
class FakeTopics:
    """Knows the topics it is given and no other, as Pub/Sub does."""

    clock: FakeClock
    faults: Faults
    subscriptions: Mapping[str, Sequence[FakeSubscription]]
    published: list[Published] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        def do() -> None:
            if topic not in self.subscriptions:
                raise Misconfigured(f"Pub/Sub refused {topic}: NotFound")
            with self._lock:
                message = Published(topic, str(len(self.published) + 1), data, dict(attributes))
                self.published.append(message)
            for subscription in self.subscriptions[topic]:
                subscription.add(message)

        self.faults.during(f"topics.publish {topic}", do)

    def subscription(self, name: str) -> FakeSubscription:
        return next(one for many in self.subscriptions.values() for one in many if one.name == name)

    def picture(self) -> tuple[object, ...]:
        """All there is, as a value that can be compared, and put back by `restore`."""
        return tuple(self.published), tuple(one.picture() for one in self._all())

    def restore(self, picture: Any) -> None:
        published, held = picture
        self.published[:] = published
        for subscription, each in zip(self._all(), held, strict=True):
            subscription.restore(each)

    def _all(self) -> list[FakeSubscription]:
        return [one for many in self.subscriptions.values() for one in many]

    def on(self, topic: str) -> list[Published]:
        """What was published there."""
        return [message for message in self.published if message.topic == topic]
