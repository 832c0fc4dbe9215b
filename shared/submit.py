"""Submit a job: marker and record side by side, then index and message. Safe to repeat at any point."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

from shared import log, routing
from shared.classify import FileFacts
from shared.conclude import conclude
from shared.errors import IdempotencyMismatch, PermanentError, Unavailable
from shared.events import JobMessage
from shared.job import Failure, Job, Source, State, hash_text, job_id_for, request_hash
from shared.lanes import ATTRIBUTE, CPU_QUEUES, Priority
from shared.operations import Operation, Probe, Thumbnails, Transcribe
from shared.queues import Task
from shared.resources import declared
from shared.routing import Destination
from shared.services import Services
from shared.store import Marker

_log = logging.getLogger(__name__)

#: What a file gets when nobody named operations.
DEFAULT_PROFILE: Final[Mapping[str, tuple[Operation, ...]]] = {
    "video": (Probe(), Transcribe(), Thumbnails()),
    "audio": (Probe(), Transcribe()),
    "image": (Probe(), Thumbnails(count=1)),
}


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One request for a job, from whichever door."""

    idempotency_key: str
    #: What the caller sent, to tell a repetition from another request under the same key.
    sent: Mapping[str, Any]
    caller: str
    source: Source
    file: FileFacts
    operations: tuple[Operation, ...] | None = None
    webhook_url: str | None = None
    id: str | None = None
    labels: Mapping[str, str] | None = None
    wish: Literal["cloud-run", "gke"] | None = None
    priority: Priority = Priority.NORMAL
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    job: Job
    is_new: bool


def submit(request: JobRequest, services: Services) -> Submitted:
    """Route the file and make it a job; the same key again answers the first job.

    Raises UnsupportedMedia or InvalidRequest when the router refuses, IdempotencyMismatch, Unavailable.
    """
    settings = services.settings
    operations = request.operations or DEFAULT_PROFILE.get(request.file.kind, ())
    route = routing.route(
        request.file,
        operations,
        wish=request.wish,
        # Where GKE is no choice, nothing is asked that only that choice depends on.
        slots_taken=services.slots.taken() if settings.enable_gke_route else None,
        backlog=services.backlog.waiting() if settings.enable_gke_route else None,
        rules=routing.RoutingRules.of(settings),
    )
    return _enter(request, partial(_job, request, operations, route.destination, route.reason), services)


def refuse(request: JobRequest, why: PermanentError, services: Services) -> Submitted:
    """Leave a record of an upload that cannot become work: failed from the start, with the reason."""
    failure = Failure(code=why.reason_code, message=why.message)

    def refused(now: datetime, trace: str | None) -> Job:
        job = _job(request, request.operations or (), None, "refused", now, trace)
        return job.model_copy(update={"state": State.FAILED, "failure": failure, "finished_at": now})

    return _enter(request, refused, services)


def repeated(idempotency_key: str, sent: Sequence[Mapping[str, Any]], services: Services) -> Submitted | None:
    """The job this key made before, if any, before anything else is looked at: its source may be gone by now.

    `sent` is the request in each way in which the record may know it.
    """
    seen = services.store.get(job_id_for(idempotency_key))
    return _again(seen.job, {request_hash(dict(each)) for each in sent}, services) if seen else None


def send(job: Job, services: Services, *, task_suffix: str = "") -> bool:
    """Put the job's message where its destination reads; False when a task of that name was queued before."""
    with (
        log.bind(**job.log_labels(), traceparent=job.traceparent),
        services.tracer.span(
            "job.publish", job.traceparent, job_id=job.job_id, submission=job.submission, destination=job.destination
        ) as span,
    ):
        is_sent = _send(job, services, task_suffix, span.traceparent)
        _log.info("job sent", extra={"event": "job.sent", "destination": job.destination, "is_new": is_sent})
    return is_sent


def _send(job: Job, services: Services, task_suffix: str, trace: str | None) -> bool:
    message = JobMessage(job_id=job.job_id, submission=job.submission)
    if job.destination is None:
        raise ValueError("a refused job is never sent")
    if job.destination is Destination.CPU:
        task = Task(
            name=f"{job.job_id}-{job.submission}{task_suffix}",
            url=f"{services.settings.dispatch_url}/task",
            audience=services.settings.dispatch_url,
            body=message.encode(idempotency_key=job.key_hash, **({"traceparent": trace} if trace else {})),
            deadline_seconds=_CPU_DEADLINE_SECONDS,
        )
        return services.queues.enqueue(CPU_QUEUES[job.priority], task)
    attributes = {
        "jobId": job.job_id,
        "submission": str(job.submission),
        "fileType": job.file.file_type,
        ATTRIBUTE: job.priority.value,
        "idempotencyKey": job.key_hash,
        "traceparent": trace or "",
    }
    services.topics.publish(job.destination.value, message.encode(), attributes)
    return True


_CPU_DEADLINE_SECONDS: Final = declared().queues["cpu-tasks"].dispatch_deadline


def _job(
    request: JobRequest,
    operations: tuple[Operation, ...],
    destination: Destination | None,
    reason: str,
    now: datetime,
    trace: str | None,
) -> Job:
    return Job(
        job_id=job_id_for(request.idempotency_key),
        key_hash=hash_text(request.idempotency_key),
        request_hash=request_hash(dict(request.sent)),
        caller=request.caller,
        id=request.id,
        labels=dict(request.labels or {}),
        source=request.source,
        file=request.file,
        operations=operations,
        explicit=request.operations is not None,
        webhook_url=request.webhook_url,
        traceparent=trace,
        priority=request.priority,
        destination=destination,
        reason=reason,
        warnings=request.file.warnings,
        created_at=now,
        queued_at=now,
    )


def _enter(request: JobRequest, job_at: Callable[[datetime, str | None], Job], services: Services) -> Submitted:
    job_id = job_id_for(request.idempotency_key)
    with services.tracer.span("job.submit", request.traceparent, job_id=job_id) as span:
        return _entered(job_at(services.now(), span.traceparent), services)


def _entered(job: Job, services: Services) -> Submitted:
    # Neither write waits for the other: nothing is accepted before both are there, and a caller who is cut off
    # comes again with the same key.
    marking = services.side_by_side.submit(services.store.mark_open, Marker.of(job))
    try:
        is_new = services.store.create(job)
    finally:
        wait([marking])
    marking.result()
    if not is_new:
        seen = services.store.get(job.job_id)
        if seen is None:
            raise Unavailable(f"the record of {job.job_id} was there and is not")
        return _again(seen.job, {job.request_hash}, services)
    _announce(job, services)
    return Submitted(job, is_new=True)


def _again(job: Job, sent_hashes: Set[str], services: Services) -> Submitted:
    if job.request_hash not in sent_hashes:
        raise IdempotencyMismatch("this Idempotency-Key was used before, with another request")
    # Whoever was first may have died after any of these steps.
    if not job.state.is_terminal:
        services.store.mark_open(Marker.of(job))
    _announce(job, services)
    with log.bind(**job.log_labels(), traceparent=job.traceparent):
        _log.info("job repeated", extra={"event": "job.repeated", "state": job.state})
    return Submitted(job, is_new=False)


def _announce(job: Job, services: Services) -> None:
    """List the job; let its destination know while it waits, or conclude it when it is over."""
    indexing = services.side_by_side.submit(services.store.add_to_index, job)
    try:
        if job.state is State.QUEUED:
            send(job, services)
        elif job.state.is_terminal:
            conclude(job, services)
    finally:
        wait([indexing])
    indexing.result()
