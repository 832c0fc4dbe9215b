"""What follows a terminal outcome: its webhook is queued, then its marker goes. Safe to repeat."""

from __future__ import annotations

import logging
from datetime import datetime

from shared import log
from shared.events import JobMessage
from shared.job import Job
from shared.queues import Task
from shared.resources import declared
from shared.services import Services
from shared.store import Marker

_log = logging.getLogger(__name__)

_DEADLINE_SECONDS = declared().queues["webhooks"].dispatch_deadline


def conclude(job: Job, services: Services) -> None:
    """Queue the first try of the webhook, if one is wanted, and take the job off the sweep's list."""
    with services.tracer.span("job.conclude", job.traceparent, job_id=job.job_id, state=job.state) as span:
        _conclude(job, services, span.traceparent)


def _conclude(job: Job, services: Services, trace: str | None) -> None:
    if job.webhook_url:
        enqueue_webhook(job, 1, None, services, trace)
    services.store.mark_closed(Marker.of(job))
    with log.bind(**job.log_labels(), traceparent=job.traceparent):
        _log.info("job closed", extra={"event": "job.closed", "state": job.state})


def enqueue_webhook(job: Job, number: int, at: datetime | None, services: Services, trace: str | None) -> None:
    """One try is one task; its name makes a repetition harmless. `trace` is the traceparent of what asks for it."""
    message = JobMessage(job_id=job.job_id, submission=job.submission, traceparent=trace)
    task = Task(
        name=f"{job.job_id}-{job.submission}-{number}",
        url=f"{services.settings.deliver_url}/",
        audience=services.settings.deliver_url,
        body=message.encode(number=number),
        deadline_seconds=_DEADLINE_SECONDS,
        schedule_at=at,
    )
    services.queues.enqueue("webhooks", task)
