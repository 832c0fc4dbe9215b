"""The job's record: one frozen model, the truth about one job, and the only ways it may change.

queued → running → succeeded | failed            queued | running → dead_lettered | cancelled
running → queued (a retry or a hand-back)        failed | dead_lettered | cancelled → queued (a redrive)
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Final, Self

from pydantic import Field, field_serializer

from shared.classify import FileFacts
from shared.job_parts import (
    HANDED_BACK,
    WORKER_LOST,
    Artifact,
    Failure,
    Frozen,
    Outcome,
    PastAttempt,
    PastSubmission,
    Progress,
    Source,
    State,
    WebhookTry,
)
from shared.lanes import Priority
from shared.machines import Machine, Place
from shared.operations import Operation
from shared.routing import Destination

__all__ = [
    "TRANSITIONS",
    "WORKER_LOST",
    "Artifact",
    "Failure",
    "Job",
    "Outcome",
    "PastAttempt",
    "PastSubmission",
    "Progress",
    "Source",
    "State",
    "WebhookTry",
    "hash_text",
    "job_id_for",
    "request_hash",
]

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
#: A submission may be taken so many times as often as its attempts may count: hand-backs have an end, too.
_LEASES_PER_ATTEMPT: Final = 4
#: Attempts that are over which a record tells of; the oldest make room.
_PAST_ATTEMPTS: Final = 30


class Job(Frozen):
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
    labels: dict[str, str] = Field(default_factory=dict)
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
    #: How often this submission was handed back, for no fault of the job's.
    hand_backs: int = 0
    #: How often the sweep has sent this job's message again since it was last at work.
    times_resent: int = 0
    owner: str | None = None
    #: Where the attempt that runs now does so.
    place: Place | None = None
    #: Seconds of machines that the attempts until now have cost, of all submissions.
    machine_seconds: dict[Machine, float] = Field(default_factory=dict)
    #: What of these was spent before the last redrive.
    machine_seconds_before: dict[Machine, float] = Field(default_factory=dict)
    progress: Progress | None = None
    failure: Failure | None = None
    outcome: Outcome | None = None
    warnings: tuple[str, ...] = ()
    webhook_tries: tuple[WebhookTry, ...] = ()
    #: Attempts that are over, of all submissions, in their order; the last of them when there are many.
    attempts: tuple[PastAttempt, ...] = ()
    #: The submissions before this one.
    submissions: tuple[PastSubmission, ...] = ()

    created_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @field_serializer("operations")
    def _as_asked(self, operations: tuple[Operation, ...]) -> list[dict[str, Any]]:
        """Without defaults: an older revision refuses a parameter it does not know only where one makes use of it."""
        return [{"name": each.name, **each.model_dump(mode="json", exclude_defaults=True)} for each in operations]

    @property
    def state_since(self) -> datetime:
        """When the job came into the state it is in."""
        since = {State.QUEUED: self.queued_at, State.RUNNING: self.started_at}.get(self.state, self.finished_at)
        return since or self.queued_at

    def log_labels(self) -> dict[str, str]:
        return {"job_id": self.job_id, "submission": str(self.submission), "attempt": str(self.attempt)}

    def _become(self, state: State, **changes: Any) -> Self:
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a job cannot go from {self.state} to {state}")
        return self.model_copy(update={"state": state, **changes})

    def _ended(self, state: State, until: datetime, **changes: Any) -> Self:
        """The attempt is over, if one ran; `until` is when it did so or was last heard of."""
        attempts = self._attempts(until, state, changes.get("failure"))
        seconds = self._machine_seconds(until)
        return self._become(state, owner=None, place=None, machine_seconds=seconds, attempts=attempts, **changes)

    def _attempts(self, until: datetime, became: State, failure: Failure | None) -> tuple[PastAttempt, ...]:
        """With the one that runs now, which ends."""
        if self.state is not State.RUNNING or self.started_at is None:
            return self.attempts
        ended = PastAttempt(
            number=self.attempt,
            submission=self.submission,
            worker=self.owner,
            machine=self.place.machine if self.place else None,
            started_at=self.started_at,
            ended_at=until,
            became=became,
            failure=failure,
        )
        return (*self.attempts, ended)[-_PAST_ATTEMPTS:]

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
            attempts=self._attempts(last_beat or now, State.RUNNING, WORKER_LOST),
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
            hand_backs=self.hand_backs + 1,
            queued_at=now,
            progress=None,
            **reroute,
        )

    def is_used_up(self, max_attempts: int) -> bool:
        """May it be taken no more? Hand-backs count for little, not for nothing: each may cost a worker its end."""
        leases = self.attempts_counted + self.hand_backs
        return self.attempts_counted >= max_attempts or leases >= max_attempts * _LEASES_PER_ATTEMPT

    def exhausted(self) -> Failure:
        """Why a job whose attempts are used up is given up: one that runs, since its lease has expired."""
        own = [past for past in self.attempts if past.submission == self.submission]
        why = (own[-1].failure if own else self.failure) or (HANDED_BACK if self.hand_backs else WORKER_LOST)
        last = WORKER_LOST if self.state is State.RUNNING else why
        tries = f"{self.attempts_counted} attempts" + (f" and {self.hand_backs} hand-backs" if self.hand_backs else "")
        return Failure(code=last.code, message=f"gave up after {tries}; the last: {last.message}")

    def dead_lettered(self, failure: Failure, now: datetime, *, last_beat: datetime | None = None) -> Self:
        return self._ended(State.DEAD_LETTERED, last_beat or now, failure=failure, finished_at=now)

    def cancelled(self, now: datetime, *, last_beat: datetime | None = None) -> Self:
        return self._ended(State.CANCELLED, last_beat or now, failure=None, finished_at=now)

    def redriven(self, now: datetime, **reroute: Any) -> Self:
        """A fresh start under the next submission number; how this one ended is kept."""
        past = PastSubmission(
            number=self.submission,
            state=self.state,
            failure=self.failure,
            attempts_counted=self.attempts_counted,
            queued_at=self.queued_at,
            finished_at=self.finished_at,
            redriven_at=now,
            webhook_tries=self.webhook_tries,
        )
        return self._become(
            State.QUEUED,
            submission=self.submission + 1,
            attempts_counted=0,
            hand_backs=0,
            times_resent=0,
            machine_seconds_before=self.machine_seconds,
            queued_at=now,
            started_at=None,
            finished_at=None,
            failure=None,
            outcome=None,
            progress=None,
            webhook_tries=(),
            submissions=(*self.submissions, past),
            **reroute,
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
