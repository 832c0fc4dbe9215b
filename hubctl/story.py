"""A job's whole story, hop by hop: what the log's lines tell, and from the record what they leave out.

The log has every hop, since rings, slots, executions and stages are told there alone: the record takes about one write
a second, and must not be filled with what is no state. The record has the hops that matter most for as long as it is
kept, lines or none: submissions, attempts, ends, tries of the webhook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel

from shared.api import JobView
from shared.job import Failure, PastAttempt, State, WebhookTry

#: What an attempt's end is called, by what the job became.
_ENDS: Final[Mapping[State, str]] = {
    State.SUCCEEDED: "job.succeeded",
    State.FAILED: "job.failed",
    State.DEAD_LETTERED: "job.dead_lettered",
    State.CANCELLED: "job.cancelled",
}
_BEGINNINGS: Final = ("job.submitted", "job.redriven")
_LABELS: Final = "logging.googleapis.com/labels"
_TRACE: Final = "logging.googleapis.com/trace"
#: Keys of a line that are not its own facts.
_KNOWN: Final = frozenset({"severity", "time", "message", "event", "job_id", "submission", "attempt", "state"})


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing that happened to a job."""

    at: datetime
    event: str
    submission: int | None = None
    attempt: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Told by the record, and by no line.
    is_from_record: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes the record's hop and the line's the same one."""
        which = self.facts.get("number") if self.event.startswith("webhook.") else self.attempt
        return self.event, self.submission, which


class StoryView(BaseModel):
    """The story as one JSON document."""

    job_id: str
    state: State
    trace: str | None
    hops: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, job: JobView, hops: Iterable[Hop], trace: str | None) -> Self:
        return cls(job_id=job.job_id, state=job.state, trace=trace, hops=tuple(map(asdict, hops)))


def story(job: JobView, lines: Iterable[Mapping[str, Any]]) -> list[Hop]:
    """Every hop, in the order of time."""
    told = [hop for line in lines if (hop := hop_of(line))]
    known = {hop.key for hop in told}
    hops = [*told, *(hop for hop in sorted(_of_record(job), key=_order) if hop.key not in known)]
    return sorted(hops, key=lambda hop: hop.at)


def trace_of(lines: Iterable[Mapping[str, Any]]) -> str | None:
    """The trace that the lines belong to, by its 32 hex digits."""
    for line in lines:
        if trace := line.get(_TRACE):
            return str(trace).rpartition("/")[2]
    return None


def is_about(line: Mapping[str, Any], job_id: str) -> bool:
    return job_id in (line.get("job_id"), line.get(_LABELS, {}).get("job_id"))


def hop_of(line: Mapping[str, Any]) -> Hop | None:
    """A line of the log, as our formatter writes it; None for one that tells no event."""
    if not line.get("event"):
        return None
    named = {**line.get(_LABELS, {}), **line}
    return Hop(
        at=datetime.fromisoformat(line["time"]),
        event=str(line["event"]),
        submission=_number(named.get("submission")),
        attempt=_number(named.get("attempt")),
        facts={
            name: value
            for name, value in line.items()
            if name not in _KNOWN and not name.startswith("logging.") and value is not None
        },
    )


def _order(hop: Hop) -> tuple[datetime, int, int]:
    """Of what happened at one moment, what began a submission comes first, and its end last."""
    is_begun, is_over = hop.event in _BEGINNINGS, hop.event in _ENDS.values()
    return hop.at, hop.submission or 0, 0 if is_begun else 2 if is_over else 1


def _number(value: Any) -> int | None:
    return int(value) if value is not None else None


def _of_record(job: JobView) -> Iterator[Hop]:
    yield _hop(job.created_at, "job.submitted", 1, 0, destination=job.destination)
    for past in job.submissions:
        if past.finished_at:
            yield from _end(past.finished_at, past.state, past.number, _last_attempt(job, past.number), past.failure)
        yield from (_try(made, past.number) for made in past.webhook_tries)
        yield _hop(past.redriven_at, "job.redriven", past.number + 1, _last_attempt(job, past.number))
    for attempt in job.attempts:
        yield _hop(attempt.started_at, "job.started", attempt.submission, attempt.number, worker=attempt.worker)
        yield from _attempt_end(attempt)
    if job.finished_at:
        yield from _end(job.finished_at, job.state, job.submission, job.attempt, job.error)
    elif job.state is State.RUNNING and job.started_at:
        yield _hop(job.started_at, "job.started", job.submission, job.attempt)
    yield from (_try(made, job.submission) for made in job.webhook_tries)


def _attempt_end(attempt: PastAttempt) -> Iterator[Hop]:
    code = attempt.failure.code if attempt.failure else None
    if attempt.became is State.QUEUED:
        event = "job.attempt_failed" if code else "job.handed_back"
        yield _hop(attempt.ended_at, event, attempt.submission, attempt.number, code=code)


def _end(at: datetime, state: State, submission: int, attempt: int, failure: Failure | None) -> Iterator[Hop]:
    if state in _ENDS:
        yield _hop(at, _ENDS[state], submission, attempt, code=failure.code if failure else None)


def _last_attempt(job: JobView, submission: int) -> int:
    return max((past.number for past in job.attempts if past.submission <= submission), default=0)


def _try(made: WebhookTry, submission: int) -> Hop:
    event = "webhook.delivered" if made.status is not None and 200 <= made.status < 300 else "webhook.failed"
    return _hop(made.at, event, submission, None, number=made.number, status=made.status, error=made.error)


def _hop(at: datetime, event: str, submission: int, attempt: int | None, **facts: Any) -> Hop:
    known = {name: value for name, value in facts.items() if value is not None}
    return Hop(at, event, submission, attempt, known, is_from_record=True)
