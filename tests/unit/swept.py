"""What the sweep finds, and what it leaves."""

from __future__ import annotations

from shared.job import Job
from shared.store import Marker
from tests.fakes.services import FakeServices


def left(services: FakeServices, record: Job) -> Job:
    """A record and its marker, left alone until the grace time is over."""
    services.store.mark_open(Marker.of(record))
    services.store.create(record)
    services.clock.advance(services.settings.grace_seconds)
    return record


def markers(services: FakeServices) -> list[str]:
    return services.objects.names("state", "open/")


def record_of(services: FakeServices, record: Job) -> Job:
    seen = services.store.get(record.job_id)
    assert seen is not None
    return seen.job
