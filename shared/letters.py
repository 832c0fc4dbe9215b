"""A dead letter: what was given up and why, what became of it since, and what people said of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.events import JobId, UploadedObject
from shared.job import Job, State

#: Ends the name of a letter whose job was not lost when it came.
OUTDATED: Final = "-outdated"


class Letter(BaseModel):
    """Our own letter, or what Pub/Sub's backstop gave up: a message with a job's id alone, or an upload's event."""

    model_config = ConfigDict(frozen=True, extra="allow")
    job_id: JobId | None = None
    submission: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")] = "undeliverable"
    reason: Annotated[str, StringConstraints(max_length=10_000)] = ""


class Discarded(BaseModel):
    """Somebody's word that nothing more is to be done about a letter."""

    model_config = ConfigDict(frozen=True)
    #: The API key's name.
    by: str
    at: datetime
    reason: str


class KeptLetter(Letter):
    """A letter as it lies in the state bucket, for good."""

    kept_at: datetime
    #: Of the message that brought it.
    attributes: dict[str, str] = {}
    discarded: Discarded | None = None

    @property
    def upload(self) -> UploadedObject | None:
        """The upload that a message of Eventarc's told of, which `on_upload` never took."""
        try:
            return None if self.job_id else UploadedObject.model_validate(self.model_extra)
        except ValidationError:
            return None

    def said(self, name: str) -> Any:
        """What a letter says beside the fields that all have; None when it says nothing of it."""
        return (self.model_extra or {}).get(name)


class LetterState(StrEnum):
    #: Somebody has to do something about it.
    WAITING = "waiting"
    #: Its job was started afresh.
    REDRIVEN = "redriven"
    DISCARDED = "discarded"
    #: Its job was not lost after all: it ended otherwise, or is at work; or it was later, and another letter says why.
    SETTLED = "settled"


def state_of(letter: KeptLetter, job: Job | None, *, is_replaced: bool = False) -> LetterState:
    """By the job's record, which is the truth; a letter without one waits until it is discarded or `is_replaced`."""
    if job is not None and job.submission > letter.submission:
        return LetterState.REDRIVEN
    if job is not None and job.state is not State.DEAD_LETTERED:
        return LetterState.SETTLED
    if letter.discarded:
        return LetterState.DISCARDED
    return LetterState.SETTLED if is_replaced else LetterState.WAITING
