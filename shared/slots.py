"""GPU slots: at most MAX_GPU_EXECUTIONS executions of the GPU Job, whoever rings at once.

A slot is the object `slots/gpu/<n>`, created only if absent before `jobs:run`, renewed by the execution's
beat and deleted at its exit. One that is not renewed in time (storage's clock) may be taken over.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from shared.errors import RetryableError
from shared.objects import Objects, StoredObject
from shared.recent import Recent
from shared.settings import Settings

_log = logging.getLogger(__name__)

_PREFIX: Final = "slots/gpu/"
#: A count of taken slots may be this old: routing looks at it once per request.
COUNT_AGE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One taken slot; the token tells its present holder from the one before."""

    number: int
    token: str
    generation: int

    @property
    def environment(self) -> Mapping[str, str]:
        return {"GPU_SLOT": str(self.number), "GPU_SLOT_TOKEN": self.token}


class Slots:
    def __init__(self, objects: Objects, settings: Settings) -> None:
        self._objects = objects
        self._bucket = settings.state_bucket
        self._count = settings.max_gpu_executions
        self._start_seconds = settings.slot_start_seconds
        self._renewed_seconds = settings.slot_seconds
        self._taken = Recent(self._count_taken, at_first=0, seconds=COUNT_AGE_SECONDS)

    def take(self) -> Slot | None:
        """A free or expired slot, now ours; None when all are taken."""
        for number in range(self._count):
            name = f"{_PREFIX}{number}"
            stored = self._objects.read(self._bucket, name)
            if stored is not None and not self._is_expired(stored):
                continue
            token = secrets.token_hex(8)
            expected = stored.generation if stored else 0
            slot = Slot(number, token, expected)
            generation = self._write(slot, expected, is_started=False)
            if generation is not None:
                return replace(slot, generation=generation)
            # Somebody was quicker; or it was us, and the answer was lost.
            if (ours := self.held(number, token)) is not None:
                return ours
        return None

    def renew(self, slot: Slot) -> Slot | None:
        """The execution's beat; None when somebody else took the slot over.

        A passing fault leaves the slot as it was: the next beat tries again, and the slot outlasts several.
        """
        try:
            generation = self._write(slot, slot.generation)
            if generation is None:
                held = self.held(slot.number, slot.token)
                if held is None:
                    return None
                # Our own earlier write, whose answer was lost.
                generation = self._write(held, held.generation)
        except RetryableError as error:
            _log.warning("slot not renewed", extra={"event": "slot.beat_failed", "error": error.reason_code})
            return slot
        return replace(slot, generation=generation) if generation is not None else None

    def held(self, number: int, token: str) -> Slot | None:
        """The slot as an execution was told of it, if it is still that execution's."""
        stored = self._objects.read(self._bucket, f"{_PREFIX}{number}")
        if stored is None or json.loads(stored.data)["token"] != token:
            return None
        return Slot(number, token, stored.generation)

    def release(self, slot: Slot) -> None:
        held = self.held(slot.number, slot.token)
        if held is not None:
            self._objects.delete(self._bucket, f"{_PREFIX}{slot.number}", if_generation=held.generation)

    def taken(self) -> int:
        """How many slots exist, at most a second old; expired ones count until they are swept."""
        return self._taken.get()

    def sweep(self) -> int:
        """Delete expired slots; answers how many."""
        swept = 0
        for name in self._objects.list(self._bucket, prefix=_PREFIX):
            stored = self._objects.read(self._bucket, name)
            if stored is not None and self._is_expired(stored):
                # Not one that was renewed or taken over since it was read.
                self._objects.delete(self._bucket, name, if_generation=stored.generation)
                swept += 1
        return swept

    def _count_taken(self) -> int:
        return sum(1 for _ in self._objects.list(self._bucket, prefix=_PREFIX))

    def _is_expired(self, stored: StoredObject) -> bool:
        started = json.loads(stored.data)["started"]
        return stored.age_seconds >= (self._renewed_seconds if started else self._start_seconds)

    def _write(self, slot: Slot, expected: int, *, is_started: bool = True) -> int | None:
        data = json.dumps({"token": slot.token, "started": is_started}).encode()
        return self._objects.write(self._bucket, f"{_PREFIX}{slot.number}", data, if_generation=expected)
