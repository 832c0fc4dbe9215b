"""GPU slots: at most MAX_GPU_EXECUTIONS executions of the GPU Job, whoever rings at once.

A slot is the object `slots/gpu/<n>`, created only if absent before `jobs:run`, renewed by the execution's
beat and deleted at its exit. One that is not renewed in time (storage's clock) may be taken over.

It names the job it was taken for until its execution has taken up a job, whichever: the bell of a waiting job rings
on while an execution starts for it, and shall not start another.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

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
    #: Whom it was taken for, until its execution has taken up a job.
    job_id: str | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        return {"GPU_SLOT": str(self.number), "GPU_SLOT_TOKEN": self.token}


class _Content(BaseModel):
    """What a slot's object says; by its defaults, one that no execution wrote: nobody's, and expired when it is old."""

    model_config = ConfigDict(frozen=True)
    token: str | None = None
    started: bool = True
    job_id: str | None = None


class Slots:
    def __init__(self, objects: Objects, settings: Settings) -> None:
        self._objects = objects
        self._bucket = settings.state_bucket
        self._count = settings.max_gpu_executions
        self._start_seconds = settings.slot_start_seconds
        self._renewed_seconds = settings.slot_seconds
        self._taken = Recent(self._count_taken, at_first=0, seconds=COUNT_AGE_SECONDS)

    def take(self, job_id: str) -> Slot | None:
        """A free or expired slot, now ours; None when all are taken, or one of them for this very job.

        One job gets two only if a slot falls free between two rings' looks at the slots before it.
        """
        while (found := self._free(job_id)) is not None:
            number, expected = found
            slot = Slot(number, secrets.token_hex(8), expected, job_id)
            generation = self._write(slot, expected, is_started=False)
            if generation is not None:
                return replace(slot, generation=generation)
            # Somebody was quicker; or it was us, and the answer was lost.
            if (ours := self.held(number, slot.token)) is not None:
                return ours
        return None

    def renew(self, slot: Slot, *, has_taken_up: bool) -> Slot | None:
        """The execution's beat, which names no job any more once one was taken up; None when the slot is another's.

        A passing fault leaves the slot as it was: the next beat tries again, and the slot outlasts several.
        """
        renewed = replace(slot, job_id=None) if has_taken_up else slot
        try:
            generation = self._write(renewed, slot.generation)
            if generation is None:
                held = self.held(slot.number, slot.token)
                if held is None:
                    return None
                # Our own earlier write, whose answer was lost.
                generation = self._write(renewed, held.generation)
        except RetryableError as error:
            _log.warning("slot not renewed", extra={"event": "slot.beat_failed", "error": error.reason_code})
            return slot
        return replace(renewed, generation=generation) if generation is not None else None

    def held(self, number: int, token: str) -> Slot | None:
        """The slot as an execution was told of it, if it is still that execution's."""
        stored = self._objects.read(self._bucket, f"{_PREFIX}{number}")
        if stored is None or (content := _content(stored)).token != token:
            return None
        return Slot(number, token, stored.generation, content.job_id)

    def claim(self, number: int, token: str) -> Slot | None:
        """The slot of an execution that has come up; None when another one works in it.

        A slot that was given away meanwhile is taken back from who has not come up either: where all are slow to
        start, each would find its slot given to the next, and none would ever look at the queue.
        """
        while True:
            stored = self._objects.read(self._bucket, f"{_PREFIX}{number}")
            content = _content(stored) if stored else _Content()
            if stored and content.token == token:
                return Slot(number, token, stored.generation, content.job_id)
            if stored and content.started and not self._is_expired(stored):
                return None
            slot = Slot(number, token, stored.generation if stored else 0, content.job_id)
            generation = self._write(slot, slot.generation)
            if generation is not None:
                return replace(slot, generation=generation)

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

    def _free(self, job_id: str) -> tuple[int, int] | None:
        """The first free slot's number and generation, unless a live one names the job."""
        free: tuple[int, int] | None = None
        for number in range(self._count):
            stored = self._objects.read(self._bucket, f"{_PREFIX}{number}")
            if stored is not None and not self._is_expired(stored):
                if _content(stored).job_id == job_id:
                    return None
            elif free is None:
                free = number, stored.generation if stored else 0
        return free

    def _count_taken(self) -> int:
        return sum(1 for _ in self._objects.list(self._bucket, prefix=_PREFIX))

    def _is_expired(self, stored: StoredObject) -> bool:
        started = _content(stored).started
        return stored.age_seconds >= (self._renewed_seconds if started else self._start_seconds)

    def _write(self, slot: Slot, expected: int, *, is_started: bool = True) -> int | None:
        content = _Content(token=slot.token, started=is_started, job_id=slot.job_id)
        data = content.model_dump_json().encode()
        return self._objects.write(self._bucket, f"{_PREFIX}{slot.number}", data, if_generation=expected)


def _content(stored: StoredObject) -> _Content:
    try:
        return _Content.model_validate_json(stored.data)
    except ValidationError:
        return _Content()
