"""Every change of a job's state as one line of the log, told by the store as soon as it has written the change.

Each line has `event`, `from`, `to`, `submission`, `attempt` and `stateSeconds`, the seconds the job was in the state it
left; its labels name the job. So the lines of one job are its story, whoever changed it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from shared import log
from shared.costs import log_fields
from shared.job import Job, State
from shared.prices import Tariff

_log = logging.getLogger(__name__)


def is_change(before: Job | None, after: Job) -> bool:
    """Is it another state, or the same one anew: the next attempt at a job whose worker died?"""
    return before is None or (before.state, before.attempt, before.submission) != (
        after.state,
        after.attempt,
        after.submission,
    )


class Journal:
    """Tells what changed, and what it cost; `tariff` is asked only where a line carries costs."""

    def __init__(self, tariff: Callable[[], Tariff]) -> None:
        self._tariff = tariff

    def tell(self, before: Job | None, after: Job) -> None:
        """One line, if this is a change of state."""
        if not is_change(before, after):
            return
        level, message, fields = self._line(before, after)
        seconds = (after.state_since - before.state_since).total_seconds() if before else 0.0
        told = {
            "job_id": after.job_id,
            "from": before.state if before else None,
            "to": after.state,
            "submission": after.submission,
            "attempt": after.attempt,
            "stateSeconds": round(max(0.0, seconds), 3),
        }
        with log.bind(**after.log_labels(), traceparent=after.traceparent):
            _log.log(level, message, extra={**fields, **told})

    def _line(self, before: Job | None, after: Job) -> tuple[int, str, Mapping[str, Any]]:
        if before is None:
            return logging.INFO, f"job submitted: {after.reason}", _submitted(after)
        match after.state:
            case State.RUNNING:
                return logging.INFO, "job started", {"event": "job.started", "worker": after.owner}
            case State.QUEUED:
                return _queued(before, after)
            case State.SUCCEEDED:
                return logging.INFO, "job succeeded", {**_succeeded(after), **self._cost(after)}
            case State.CANCELLED:
                return logging.INFO, "job cancelled", {"event": "job.cancelled", **self._cost(after)}
            # What alerts count: a drainer's exit code says nothing of its jobs. A failure's message may quote the file.
            case State.FAILED:
                fields = {"event": "job.failed", "code": _code(after), **self._cost(after)}
                return logging.WARNING, f"job failed: {_code(after)}", fields
            case State.DEAD_LETTERED:
                fields = {"event": "job.dead_lettered", "code": _code(after), **self._cost(after)}
                return logging.ERROR, f"job dead-lettered: {_code(after)}", fields

    def _cost(self, job: Job) -> Mapping[str, Any]:
        return log_fields(job, self._tariff())


def _submitted(job: Job) -> Mapping[str, Any]:
    return {"event": "job.submitted", "destination": job.destination, "state": job.state}


def _succeeded(job: Job) -> Mapping[str, Any]:
    outcome = job.outcome
    return {
        "event": "job.succeeded",
        "processingTime": outcome.processing_seconds if outcome else None,
        "queueTime": outcome.queue_seconds if outcome else None,
        "realTimeFactor": outcome.real_time_factor if outcome else None,
        "device": outcome.device if outcome else None,
    }


def _queued(before: Job, after: Job) -> tuple[int, str, Mapping[str, Any]]:
    if after.submission != before.submission:
        return logging.INFO, "job redriven", {"event": "job.redriven", "destination": after.destination}
    if after.attempts_counted < before.attempts_counted:
        return logging.INFO, "job handed back", {"event": "job.handed_back", "destination": after.destination}
    code = _code(after)
    return logging.WARNING, f"attempt failed: {code}", {"event": "job.attempt_failed", "code": code}


def _code(job: Job) -> str | None:
    return job.failure.code if job.failure else None
