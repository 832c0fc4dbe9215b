"""Everything that outlives a process, as one value: what is in storage, in topics and queues, and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Final

from shared.job import Job, job_id_for
from tests.fakes.services import FakeServices

#: Of the one job that every scenario is about; tests.fakes.world.request asks for it.
JOB_ID: Final = job_id_for("shop\0key-1")


@dataclass(frozen=True)
class Cloud:
    """A picture of the fakes; equal pictures are the same world to whoever goes on from there."""

    objects: Any
    topics: Any
    queues: Any
    now: datetime

    @classmethod
    def of(cls, services: FakeServices) -> Cloud:
        return cls(services.objects.picture(), services.topics.picture(), services.queues.picture(), services.now())

    def restore(self, services: FakeServices) -> None:
        services.objects.restore(self.objects)
        services.topics.restore(self.topics)
        services.queues.restore(self.queues)
        services.clock.set(self.now)

    @cached_property
    def stored(self) -> dict[tuple[str, str], Any]:
        """(bucket, name) to the object."""
        return {(bucket, name): each for bucket, name, each in self.objects[0]}

    @cached_property
    def job(self) -> Job | None:
        found = self.stored.get(("state", f"jobs/{JOB_ID}.json"))
        return _parsed(found.data) if found else None

    @property
    def record_age(self) -> float:
        """Seconds since the record was written."""
        return float((self.now - self.stored["state", f"jobs/{JOB_ID}.json"].updated).total_seconds())

    @property
    def is_open(self) -> bool:
        """Is there a marker, for the sweep to find the job by?"""
        return any(name.startswith("open/") for _, name in self.stored)

    @property
    def results(self) -> dict[str, bytes]:
        return {name: each.data for (bucket, name), each in self.stored.items() if bucket == "results"}

    @property
    def webhooks(self) -> frozenset[str]:
        """Names of all webhook tasks there ever were."""
        waiting, ended = self.queues
        return frozenset(name for (queue, name), _ in (*waiting, *ended) if queue == "webhooks")

    @property
    def letters(self) -> tuple[int, ...]:
        """The submissions for which a dead letter was published."""
        return tuple(int(each.attributes["submission"]) for each in self.topics[0] if each.topic == "dead-letters")


@cache
def _parsed(data: bytes) -> Job:
    return Job.model_validate_json(data)
