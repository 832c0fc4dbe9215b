"""What a job's record is made of: its states, its source, and what was noted of its work."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict

from shared.machines import Machine


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD_LETTERED = "dead_lettered"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


class Frozen(BaseModel):
    """A part of the record, or the record."""

    # A canary writes records that the revision beside it reads and writes again: what that one does not know, it keeps.
    model_config = ConfigDict(frozen=True, extra="allow")


class Source(Frozen):
    """Where the media is: `gs://bucket/name` (pinned to a generation) or `https://…`."""

    uri: str
    generation: int | None = None

    @property
    def bucket_and_name(self) -> tuple[str, str] | None:
        """Bucket and object name; None for a URL."""
        if not self.uri.startswith("gs://"):
            return None
        bucket, _, name = self.uri.removeprefix("gs://").partition("/")
        return bucket, name


class Progress(Frozen):
    stage: str
    #: Of the whole job, 0–100.
    percent: float
    eta_seconds: float | None = None


class Artifact(Frozen):
    name: str
    #: Bytes.
    size: int
    content_type: str


class Outcome(Frozen):
    """What a finished job left: naming the folder is the commit, results appear whole or not at all."""

    #: gs:// folder, ending in a slash.
    folder: str
    artifacts: tuple[Artifact, ...]
    summary: dict[str, Any]
    device: str
    media_seconds: float | None = None
    processing_seconds: float
    queue_seconds: float
    real_time_factor: float | None = None


_LONGEST_MESSAGE: Final = 4000


def _shortened(message: str) -> str:
    """Room is left for what is put before it: a dead letter's reason has 10,000 characters at most."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"


class Failure(Frozen):
    """Why the last attempt (or the job) came to nothing; of what a library said at length, the beginning."""

    code: str
    message: Annotated[str, AfterValidator(_shortened)]


#: What is known of an attempt whose worker never said a last word.
WORKER_LOST: Final = Failure(code="worker_lost", message="the worker died in the middle of the work")
#: What is known of one whose workers ended, each time, before the work could.
HANDED_BACK: Final = Failure(code="handed_back", message="each worker had to end before the work could")


class WebhookTry(Frozen):
    number: int
    at: datetime
    #: HTTP status, or None when none came.
    status: int | None = None
    error: str | None = None


class PastAttempt(Frozen):
    """One attempt that is over."""

    number: int
    submission: int
    #: Execution or pod, and what told this lease from its others.
    worker: str | None = None
    machine: Machine | None = None
    started_at: datetime
    #: When it ended, or was last heard of.
    ended_at: datetime
    #: What the job became by its end; `running` when another attempt took over.
    became: State
    failure: Failure | None = None


class PastSubmission(Frozen):
    """One submission that was over when the job was redriven."""

    number: int
    state: State
    failure: Failure | None = None
    attempts_counted: int
    queued_at: datetime
    finished_at: datetime | None = None
    redriven_at: datetime
    webhook_tries: tuple[WebhookTry, ...] = ()
