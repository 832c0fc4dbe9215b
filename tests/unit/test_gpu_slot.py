"""The slot of an execution: renewed while it lives, for its job until it took up one, freed at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.attempt_ends import Verdict
from shared.work import attempt
from shared.worker import Worker
from tests.fakes.services import fake_services
from tests.fakes.world import World, request
from tests.waiting import eventually
from workers.gpu.main import _slot

NAME = "slots/gpu/0"


@pytest.fixture
def world() -> World:
    """Where one execution was just started with slot 0, for the job "a"."""
    world = World(fake_services(gpu_slot=0, gpu_slot_token="t", beat_seconds=0.01, call_seconds=0.5, lease_seconds=1))
    first = json.dumps({"token": "t", "started": False, "job_id": "a"}).encode()
    world.services.objects.write("state", NAME, first, if_generation=0)
    return world


def beats_until(world: World, holds: Callable[[Any], bool]) -> None:
    """Time passes, which storage wants between two writes."""

    def look() -> bool:
        world.services.clock.advance(1)
        return holds(json.loads(world.services.objects.data("state", NAME)))

    eventually(look, within_s=10)


def test_a_slot_is_for_the_job_that_rang_until_the_execution_took_up_one(world: World) -> None:
    worker: Worker = world.worker()
    with _slot(worker):
        beats_until(world, lambda slot: slot == {"token": "t", "started": True, "job_id": "a"})
        assert world.services.slots.take("a") is None
        worker.startup.take()
        beats_until(world, lambda slot: slot["job_id"] is None)
    assert world.services.objects.names("state", "slots/") == []


def test_a_job_that_could_not_be_taken_is_not_taken_up(world: World) -> None:
    worker = world.worker()
    job = world.submit(request(world.services)).job
    world.services.clock.advance(2)
    assert world.services.store.update(job.job_id, lambda seen: seen.job.cancelled(world.services.now()))
    assert attempt(job.job_id, job.submission, worker) is Verdict.OVER
    assert not worker.startup.is_over


def test_a_slot_that_is_anothers_closes_the_worker(world: World) -> None:
    stolen = json.dumps({"token": "another's", "started": True}).encode()
    world.services.clock.advance(1)
    world.services.objects.write("state", NAME, stolen)
    worker = world.worker()
    with _slot(worker):
        assert worker.closing.is_set()
    assert world.services.objects.names("state", "slots/") == [NAME]
