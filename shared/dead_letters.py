"""A job that used up its attempts: the letter is published, the record marked, in this order."""

from __future__ import annotations

import json
import logging
from typing import Final

from shared.conclude import conclude
from shared.job import Failure, Job
from shared.services import Services
from shared.store import Snapshot

_log = logging.getLogger(__name__)

#: Kept of what cannot be read: escaped in JSON and coded in base64, that still fits a push to `dead_letter`.
MAX_UNREADABLE_BYTES: Final = 64 * 1024


def give_up(job: Job, failure: Failure, services: Services) -> None:
    """Publish the job's dead letter, mark it `dead_lettered`, conclude. Safe to repeat after a crash anywhere."""
    letter = {
        "job_id": job.job_id,
        "submission": job.submission,
        "destination": job.destination,
        "source": job.source.uri,
        "attempts": job.attempts_counted,
        "code": failure.code,
        "reason": failure.message,
    }
    with services.tracer.span("letter.publish", job.traceparent, job_id=job.job_id, code=failure.code) as span:
        trace = {"traceparent": span.traceparent} if span.traceparent else {}
        attributes = {"jobId": job.job_id, "submission": str(job.submission), **trace}
        services.topics.publish("dead-letters", json.dumps(letter).encode(), attributes)
    mark(job.job_id, job.submission, failure, services)


def mark(job_id: str, submission: int, failure: Failure, services: Services) -> Job | None:
    """Mark the job `dead_lettered` unless it ended or was redriven meanwhile; answers it as it then stands."""
    now = services.now()

    def change(seen: Snapshot) -> Job | None:
        if seen.job.submission != submission or seen.job.state.is_terminal:
            return None
        if seen.has_live_lease(services.settings.lease_seconds):
            return None
        return seen.job.dead_lettered(failure, now, last_beat=seen.last_beat)

    seen = services.store.update(job_id, change)
    if seen is None:
        return None
    if seen.job.state.is_terminal:
        conclude(seen.job, services)
    return seen.job


def give_up_unreadable(data: bytes, message_id: str, reason: str, services: Services) -> None:
    """Publish a letter for a message that names no job; inside is the message, of a long one the beginning."""
    letter = {
        "message_id": message_id,
        "code": "unreadable",
        "reason": reason,
        "size": len(data),
        "data": data[:MAX_UNREADABLE_BYTES].decode(errors="replace"),
    }
    services.topics.publish("dead-letters", json.dumps(letter).encode(), {})
    _log.error("message names no job", extra={"event": "message.unreadable", "message_id": message_id})
