"""Records to start a test from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.formats import FORMATS
from shared.job import Failure, Job, Outcome, Source, State, hash_text, job_id_for
from shared.operations import Probe, Transcribe
from shared.routing import Destination
from tests.fakes.world import MP4, WEBHOOK

#: The file types this service works on.
MEDIA_TYPES = frozenset(row.file_type for row in FORMATS.values() if row.kind != "other")
NOON = datetime(2025, 11, 23, 12, tzinfo=UTC)
NO_LUCK = Failure(code="unavailable", message="storage is down")
OUTCOME = Outcome(
    folder="gs://results/x/1/",
    artifacts=(),
    summary={},
    device="cpu",
    processing_seconds=1.0,
    queue_seconds=0.5,
)


def job(key: str = "key", **changes: Any) -> Job:
    values: dict[str, Any] = {
        "job_id": job_id_for(key),
        "key_hash": hash_text(key),
        "request_hash": hash_text("request"),
        "caller": "shop",
        "source": Source(uri="gs://uploads/a.mp4"),
        "file": MP4,
        "operations": (Probe(), Transcribe()),
        "explicit": True,
        "webhook_url": WEBHOOK,
        "destination": Destination.GPU,
        "reason": "gpu: transcribe on mp4",
        "created_at": NOON,
        "queued_at": NOON,
    }
    return Job(**{**values, **changes})


def job_in(state: State, **changes: Any) -> Job:
    """A job that came to this state by the ways there are."""
    queued = job(**changes)
    running = queued.leased("worker/1", NOON)
    match state:
        case State.QUEUED:
            return queued
        case State.RUNNING:
            return running
        case State.SUCCEEDED:
            return running.succeeded(OUTCOME, (), NOON)
        case State.FAILED:
            return running.failed(NO_LUCK, NOON)
        case State.DEAD_LETTERED:
            return running.dead_lettered(NO_LUCK, NOON)
        case State.CANCELLED:
            return running.cancelled(NOON)
