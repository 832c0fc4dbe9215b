"""A fresh start for a job that ended without success; safe to repeat at any point."""

from __future__ import annotations

from shared.errors import Conflict, NotFound
from shared.job import TRANSITIONS, Job, State
from shared.routing import standing
from shared.services import Services
from shared.store import Marker, Snapshot
from shared.submit import send


def redrive(job_id: str, services: Services, *, submission: int | None = None) -> Job:
    """Queue the job under its next submission; one that is queued already has its message published again.

    With `submission` only that one is redriven: a job that is past it is answered as it stands, and left alone.
    Raises NotFound, Conflict when the job's state does not allow it, Unavailable.
    """
    seen = services.store.get(job_id)
    if seen is None:
        raise NotFound(f"no job {job_id}")
    if submission not in (None, seen.job.submission):
        return seen.job
    with services.tracer.span("job.redrive", seen.job.traceparent, job_id=job_id):
        return _redriven(seen.job, services)


def _redriven(seen: Job, services: Services) -> Job:
    is_queued = seen.state is State.QUEUED
    # The marker first, as ever: a crash from here on is the sweep's to mend, and so is a marker that came to nothing.
    services.store.mark_open(Marker.of(seen if is_queued else _fresh(seen, services)))

    def change(now: Snapshot) -> Job | None:
        # Only what the marker is for: another redrive may have been quicker.
        return None if is_queued or now.job.submission != seen.submission else _fresh(now.job, services)

    changed = services.store.update(seen.job_id, change)
    if changed is None:
        raise NotFound(f"no job {seen.job_id}")
    job = changed.job
    if job.state is not State.QUEUED:
        # It is further on already, by another redrive or by itself.
        return job
    if not send(job, services) and is_queued:
        # The queue remembers this submission's task, whatever became of it. One copy a minute, however often it is
        # asked for: each may hold a place until the job ends.
        send(job, services, task_suffix=f"-redriven-{int(services.now().timestamp()) // 60}")
    return job


def _fresh(job: Job, services: Services) -> Job:
    """The job's next submission. Raises Conflict."""
    if not job.state.is_terminal or State.QUEUED not in TRANSITIONS[job.state]:
        raise Conflict(f"the job is {job.state} and cannot be redriven")
    if job.destination is None:
        raise Conflict("the upload was refused; upload it again once it is put right")
    route = standing(job.destination, job.file.file_type, services.settings)
    changes = {"destination": route.destination, "reason": route.reason} if route else {}
    return job.redriven(services.now(), **changes)
