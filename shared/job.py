"""The job's record: one frozen model, the truth about one job, and the only ways it may change.

queued → running → succeeded | failed            queued | running → dead_lettered | cancelled
running → queued (a retry or a hand-back)        failed | dead_lettered | cancelled → queued (a redrive)
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, field_serializer

from shared.classify import FileFacts
from shared.lanes import Priority
from shared.machines import Machine, Place
from shared.operations import Operation
from shared.routing import Destination


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


TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.RUNNING, State.DEAD_LETTERED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.SUCCEEDED, State.FAILED, State.QUEUED, State.DEAD_LETTERED, State.CANCELLED, State.RUNNING}
    ),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.DEAD_LETTERED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}


class _Frozen(BaseModel):
    # A canary writes records that the revision beside it reads and writes again: what that one does not know, it keeps.
    model_config = ConfigDict(frozen=True, extra="allow")


class Source(_Frozen):
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


class Progress(_Frozen):
    stage: str
    #: Of the whole job, 0–100.
    percent: float
    eta_seconds: float | None = None


class Artifact(_Frozen):
    name: str
    #: Bytes.
    size: int
    content_type: str


class Outcome(_Frozen):
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


class Failure(_Frozen):
    """Why the last attempt (or the job) came to nothing."""

    code: str
    message: str


#: What is known of an attempt whose worker never said a last word.
WORKER_LOST: Final = Failure(code="worker_lost", message="the worker died in the middle of the work")


class WebhookTry(_Frozen):
    number: int
    at: datetime
    #: HTTP status, or None when none came.
    status: int | None = None
    error: str | None = None


class Job(_Frozen):
    """One requested piece of work."""

    job_id: str
    #: SHA-256 of the idempotency key.
    key_hash: str
    #: SHA-256 of the request, to tell a repetition from another request under the same key.
    request_hash: str
    #: The API key's name, or "upload".
    caller: str
    #: The caller's own correlation id.
    id: str | None = None
    labels: dict[str, str] = {}
    source: Source
    file: FileFacts
    operations: tuple[Operation, ...]
    #: Were the operations named by the caller, or are they the kind's default profile?
    explicit: bool
    webhook_url: str | None = None
    traceparent: str | None = None

    priority: Priority = Priority.NORMAL
    destination: Destination | None
    reason: str

    state: State = State.QUEUED
    submission: int = 1
    #: Number of leases ever taken: the fencing token, and the name of the results' folder.
    attempt: int = 0
    #: Attempts of this submission that count (hand-backs do not).
    attempts_counted: int = 0
    #: How often the sweep has sent this job's message again since it was last at work.
    times_resent: int = 0
    owner: str | None = None
    #: Where the attempt that runs now does so.
    place: Place | None = None
    #: Seconds of machines that the attempts until now have cost, of all submissions.
    machine_seconds: dict[Machine, float] = {}
    #: What of these was spent before the last redrive.
    machine_seconds_before: dict[Machine, float] = {}
    progress: Progress | None = None
    failure: Failure | None = None
    outcome: Outcome | None = None
    warnings: tuple[str, ...] = ()
    webhook_tries: tuple[WebhookTry, ...] = ()

    created_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @field_serializer("operations")
    def _as_asked(self, operations: tuple[Operation, ...]) -> list[dict[str, Any]]:
        """Without defaults: an older revision refuses a parameter it does not know only where one makes use of it."""
        return [{"name": each.name, **each.model_dump(mode="json", exclude_defaults=True)} for each in operations]

    def log_labels(self) -> dict[str, str]:
        return {"job_id": self.job_id, "submission": str(self.submission), "attempt": str(self.attempt)}

    def _become(self, state: State, **changes: Any) -> Self:
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a job cannot go from {self.state} to {state}")
        return self.model_copy(update={"state": state, **changes})

    def _ended(self, state: State, until: datetime, **changes: Any) -> Self:
        """The attempt is over, if one ran; `until` is when it did so or was last heard of."""
        return self._become(state, owner=None, place=None, machine_seconds=self._machine_seconds(until), **changes)

    def _machine_seconds(self, until: datetime) -> dict[Machine, float]:
        """With those of the attempt that runs now."""
        if self.state is not State.RUNNING or self.place is None or self.started_at is None:
            return self.machine_seconds
        machine = self.place.machine
        seconds = self.machine_seconds.get(machine, 0.0) + self.place.seconds(self.started_at, until)
        return {**self.machine_seconds, machine: round(seconds, 3)}

    def leased(
        self, owner: str, now: datetime, place: Place | None = None, *, last_beat: datetime | None = None
    ) -> Self:
        """Taken by a worker: a new attempt, which counts from now on.

        Taken over, that is: the attempt before was last heard of at `last_beat`.
        """
        return self._become(
            State.RUNNING,
            owner=owner,
            place=place,
            machine_seconds=self._machine_seconds(last_beat or now),
            attempt=self.attempt + 1,
            attempts_counted=self.attempts_counted + 1,
            times_resent=0,
            started_at=now,
            progress=None,
        )

    def renewed(self, progress: Progress | None) -> Self:
        """The beat: storage's clock on this write is what extends the lease."""
        return self._become(State.RUNNING, progress=progress or self.progress)

    def succeeded(self, outcome: Outcome, warnings: tuple[str, ...], now: datetime) -> Self:
        return self._ended(
            State.SUCCEEDED,
            now,
            outcome=outcome,
            warnings=tuple(dict.fromkeys((*self.warnings, *warnings))),
            failure=None,
            finished_at=now,
            progress=Progress(stage="done", percent=100.0, eta_seconds=0.0),
        )

    def failed(self, failure: Failure, now: datetime) -> Self:
        return self._ended(State.FAILED, now, failure=failure, finished_at=now)

    def retried(self, failure: Failure, now: datetime, *, last_beat: datetime | None = None) -> Self:
        """Back in the queue after a passing fault; the attempt counts."""
        return self._ended(State.QUEUED, last_beat or now, failure=failure, queued_at=now, progress=None)

    def handed_back(self, now: datetime, **reroute: Any) -> Self:
        """Back in the queue for no fault of the job's; the attempt does not count."""
        return self._ended(
            State.QUEUED,
            now,
            attempts_counted=self.attempts_counted - 1,
            queued_at=now,
            progress=None,
            **reroute,
        )

    def exhausted(self) -> Failure:
        """Why a job whose attempts are used up is given up."""
        last = self.failure or WORKER_LOST
        return Failure(
            code=last.code, message=f"gave up after {self.attempts_counted} attempts; the last: {last.message}"
        )

    def dead_lettered(self, failure: Failure, now: datetime, *, last_beat: datetime | None = None) -> Self:
        return self._ended(State.DEAD_LETTERED, last_beat or now, failure=failure, finished_at=now)

    def cancelled(self, now: datetime, *, last_beat: datetime | None = None) -> Self:
        return self._ended(State.CANCELLED, last_beat or now, finished_at=now)

    def redriven(self, now: datetime) -> Self:
        """A fresh start under the next submission number."""
        return self._become(
            State.QUEUED,
            submission=self.submission + 1,
            attempts_counted=0,
            times_resent=0,
            machine_seconds_before=self.machine_seconds,
            queued_at=now,
            started_at=None,
            finished_at=None,
            failure=None,
            outcome=None,
            progress=None,
            webhook_tries=(),
        )

    def resent(self) -> Self:
        return self.model_copy(update={"times_resent": self.times_resent + 1})

    def with_webhook_try(self, made: WebhookTry) -> Self:
        """A try already noted under its number is not noted twice."""
        if any(known.number == made.number for known in self.webhook_tries):
            return self
        return self.model_copy(update={"webhook_tries": (*self.webhook_tries, made)})


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def job_id_for(idempotency_key: str) -> str:
    """32 hex digits of the key's SHA-256: the same key is the same job, whoever asks and when."""
    return hash_text(idempotency_key)[:32]


def request_hash(request: dict[str, Any]) -> str:
    """SHA-256 of a JSON document, whatever the order of its keys."""
    return hash_text(json.dumps(request, sort_keys=True, separators=(",", ":"), default=str))
