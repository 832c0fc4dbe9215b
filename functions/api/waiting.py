"""`Prefer: wait=N` (RFC 7240): hold the answer until the job has ended, for as long as the caller would wait."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from typing import Final

import flask

from shared.errors import RetryableError
from shared.job import Job
from shared.resources import declared
from shared.services import Services

#: How often the record is looked at, in seconds.
_POLL_SECONDS: Final = 0.5
_WAIT: Final = re.compile(r"\s*wait\s*=\s*(\d{1,4})\s*", re.ASCII)
#: Callers this process holds at once; the next one has its 202 now, as RFC 7240 allows.
_places: Final = threading.BoundedSemaphore(declared().functions["ingest"].max_held)


def preferred_seconds(request: flask.Request) -> int | None:
    """What the caller would wait; an unknown or malformed preference is ignored."""
    for preference in request.headers.get("Prefer", "").split(","):
        if match := _WAIT.fullmatch(preference):
            return int(match[1])
    return None


def wait_for_end(job: Job, seconds: float, everything: Services) -> Job:
    """The job as it stands once it has ended, after `seconds`, or at once when too many wait already."""
    if not _places.acquire(blocking=False):
        return job
    try:
        ends_at = time.monotonic() + min(seconds, everything.settings.max_wait_seconds)
        while not job.state.is_terminal and (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(_POLL_SECONDS, left))
            with suppress(RetryableError):  # the job is accepted, whatever becomes of this look at it
                seen = everything.store.get(job.job_id)
                job = seen.job if seen else job
        return job
    finally:
        _places.release()
