"""One CPU task: start an execution and hold the request until the job needs the queue no more, or again.

So the queue's rate, concurrency and backoff apply to the work, and not only to its start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from shared.dead_letters import give_up
from shared.errors import Unavailable
from shared.events import JobMessage
from shared.services import Services
from shared.store import Snapshot
from shared.tracing import environment_of

_log = logging.getLogger(__name__)

#: Polls begin this often and slow down to the second figure, in seconds.
_FIRST_POLL, _LAST_POLL = 0.2, 2.0
#: Answer before the task's own deadline, in seconds.
_MARGIN: Final = 30.0


def run(
    message: JobMessage, services: Services, *, deadline_seconds: float, wait: Callable[[float], None] = time.sleep
) -> bool:
    """True when the task is done with; False when the queue must bring it again after its backoff.

    Raises Unavailable before an execution runs, NotStarted.
    """
    settings = services.settings
    polls = _polls(time.monotonic() + deadline_seconds - _MARGIN, wait)
    seen = _relevant(message, services)
    while seen is not None and seen.has_live_lease(settings.lease_seconds):
        # An earlier dispatch's execution is at it.
        if not next(polls, False):
            return False
        with suppress(Unavailable):
            seen = _relevant(message, services)
    if seen is None:
        return True
    if seen.job.is_used_up(settings.max_attempts):
        give_up(seen.job, seen.job.exhausted(), services)
        return True
    with services.tracer.span("execution.start", job_id=message.job_id) as span:
        environment = {"JOB_ID": message.job_id, "SUBMISSION": str(message.submission), **environment_of(span)}
        execution = services.executions.start(settings.cpu_job, settings.region, environment)
        span.note(execution=execution)
    _log.info("CPU execution started", extra={"event": "execution.started", "execution": execution})
    while next(polls, False):
        # What this look cannot tell, the next one may: to give up now could start a second execution.
        with suppress(Unavailable):
            # First whether it has ended, then the record: what it wrote last is then seen.
            has_ended = services.executions.has_ended(execution)
            seen = _relevant(message, services)
            if seen is None:
                return True
            if has_ended and not seen.has_live_lease(settings.lease_seconds):
                return False
    return False


def _relevant(message: JobMessage, services: Services) -> Snapshot | None:
    """The record while this task still has something to do for it."""
    seen = services.store.get(message.job_id)
    if seen is None or seen.job.state.is_terminal or seen.job.submission != message.submission:
        return None
    return seen


def _polls(ends_at: float, wait: Callable[[float], None]) -> Iterator[bool]:
    pause = _FIRST_POLL
    while time.monotonic() < ends_at:
        wait(pause)
        yield True
        pause = min(_LAST_POLL, pause * 1.2)
