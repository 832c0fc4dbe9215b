"""Which alerts have gone out: two objects for each alert, so that several instances send it once between them.

alerts/<sha256 of id>/claim   who is sending it; written only if absent, or over a claim that has gone stale
alerts/<sha256 of id>/sent    written after it was sent, never changed

Two, since storage refuses a second write to one object within about a second, which is longer than sending takes.
A sender that dies between claim and send leaves a claim that goes stale, and the next delivery takes it over. One that
dies between send and mark makes the alert go out twice: late and twice is better than never.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import RateLimited
from shared.objects import Objects

#: A claim older than this, by storage's clock, belongs to nobody; longer than one alert's sending can take.
CLAIM_SECONDS: Final = 60.0

_RELEASED: Final = json.dumps({"state": "released"}).encode()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one alert, until it goes stale."""

    alert_id: str
    generation: int


class Taken(StrEnum):
    """Why there is nothing to claim."""

    SENT = "sent"
    #: Another instance is sending it now, or has just died doing so.
    HELD = "held"


class AlertLedger:
    """Claims and marks on any Objects; its methods raise what storage raises."""

    def __init__(self, objects: Objects, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    def claim(self, alert_id: str) -> Claim | Taken:
        """The right to send this alert, or why not."""
        folder = _folder(alert_id)
        mine = json.dumps({"state": "sending", "owner": uuid.uuid4().hex}).encode()
        generation = self._write(f"{folder}/claim", mine, if_generation=0)
        if generation is not None:
            return Claim(alert_id, generation)
        standing = self._objects.read(self._bucket, f"{folder}/claim")
        if self._objects.read(self._bucket, f"{folder}/sent") is not None:
            return Taken.SENT
        if standing is None:
            return Taken.HELD
        if standing.data == mine:  # a write whose answer was lost ends in 412 against itself
            return Claim(alert_id, standing.generation)
        if standing.data != _RELEASED and standing.age_seconds <= CLAIM_SECONDS:
            return Taken.HELD
        generation = self._write(f"{folder}/claim", mine, if_generation=standing.generation)
        return Taken.HELD if generation is None else Claim(alert_id, generation)

    def mark_sent(self, alert_id: str) -> None:
        """From now on every claim on this alert answers SENT."""
        self._write(f"{_folder(alert_id)}/sent", json.dumps({"alert_id": alert_id}).encode(), if_generation=0)

    def release(self, claim: Claim) -> bool:
        """Let the next delivery claim at once; without effect where the claim was taken over.

        False when storage refuses it, a second or less after the claim: then another call is needed.
        """
        name = f"{_folder(claim.alert_id)}/claim"
        try:
            self._objects.write(self._bucket, name, _RELEASED, if_generation=claim.generation)
        except RateLimited:
            return False
        return True

    def _write(self, name: str, data: bytes, *, if_generation: int) -> int | None:
        """The new generation; None when somebody else was first, a moment ago or long before."""
        try:
            return self._objects.write(self._bucket, name, data, if_generation=if_generation)
        except RateLimited:
            return None


def _folder(alert_id: str) -> str:
    return f"alerts/{hashlib.sha256(alert_id.encode()).hexdigest()}"
