"""Making single attempts at jobs, and looking at what they left."""

from __future__ import annotations

from shared.attempt_ends import Verdict
from shared.job import Job
from shared.submit import JobRequest
from shared.work import attempt
from shared.worker import Worker
from tests.fakes.processor import Step
from tests.fakes.services import FakeServices
from tests.fakes.world import World


def submitted(world: World, asked: JobRequest | None = None) -> Job:
    job = world.submit(asked).job
    world.services.clock.advance(5)
    return job


def try_once(world: World, job: Job, *steps: Step, worker: Worker | None = None) -> tuple[Verdict, Job]:
    """One attempt, and the record after it."""
    if steps:
        world.processor.steps = list(steps)
    verdict = attempt(job.job_id, job.submission, worker or world.worker())
    world.services.clock.advance(2)
    return verdict, world.job(job.job_id)


def webhooks(services: FakeServices) -> list[str]:
    return [task.name for task in services.queues.on("webhooks")]


def put(services: FakeServices, record: Job) -> Job:
    """The record as if written long ago."""
    assert services.store.create(record)
    services.clock.advance(3600)
    return record


def record_of(services: FakeServices, record: Job) -> Job:
    seen = services.store.get(record.job_id)
    assert seen is not None
    return seen.job
