"""What follows a terminal outcome: its webhook is queued, then its marker goes. Safe to repeat."""

from __future__ import annotations

import json
from datetime import datetime

from shared.job import Job
from shared.queues import Task
from shared.resources import declared
from shared.services import Services
from shared.store import Marker

_DEADLINE_SECONDS = declared().queues["webhooks"].dispatch_deadline


def conclude(job: Job, services: Services) -> None:
    """Queue the first try of the webhook, if one is wanted, and take the job off the sweep's list."""
    if job.webhook_url:
        enqueue_webhook(job, 1, None, services)
    services.store.mark_closed(Marker.of(job))


def enqueue_webhook(job: Job, number: int, at: datetime | None, services: Services) -> None:
    """One try is one task; its name makes a repetition harmless."""
    task = Task(
        name=f"{job.job_id}-{job.submission}-{number}",
        url=f"{services.settings.deliver_url}/",
        audience=services.settings.deliver_url,
        body=json.dumps({"job_id": job.job_id, "submission": job.submission, "number": number}).encode(),
        deadline_seconds=_DEADLINE_SECONDS,
        schedule_at=at,
    )
    services.queues.enqueue("webhooks", task)
