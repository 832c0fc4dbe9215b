"""SIGTERM and the grace period of a GPU worker: short on Cloud Run, longer than a task on GKE."""

from __future__ import annotations

import threading

import pytest

from shared.job import State
from shared.worker import Worker
from tests.fakes.processor import Blocked
from tests.fakes.services import fake_services
from tests.fakes.world import World
from tests.unit.gpu import Gpu
from tests.waiting import eventually
from workers.gpu.main import leave_when_asked


def leaving(worker: Worker) -> threading.Event:
    """SIGTERM's event, looked at by the worker."""
    asked = threading.Event()
    threading.Thread(target=leave_when_asked, args=(asked, worker), daemon=True).start()
    return asked


def worker_with(grace: float) -> Worker:
    return World(fake_services(termination_grace_seconds=grace)).worker()


@pytest.mark.parametrize("grace", [10, 10.05])
def test_what_is_held_is_handed_back_when_no_time_is_left(grace: float) -> None:
    worker = worker_with(grace)
    leaving(worker).set()
    assert worker.stop.wait(10)
    assert worker.closing.is_set()


def test_nothing_happens_before_sigterm() -> None:
    worker = worker_with(10)
    leaving(worker)
    assert not worker.closing.wait(0.1)
    assert not worker.stop.is_set()


def test_a_long_grace_period_lets_the_file_end_and_takes_no_other() -> None:
    """What scale-down relies on when it picks a busy pod."""
    blocked = Blocked()
    gpu = Gpu(blocked, idle_seconds=None, termination_grace_seconds=3600)
    jobs = gpu.submit("a", "b", "c")
    asked = leaving(gpu.worker)
    with gpu.running() as working:
        eventually(lambda: gpu.states(*jobs).count(State.RUNNING) == 2)
        asked.set()
        assert gpu.worker.closing.wait(10)
        assert not gpu.worker.stop.is_set()
        blocked.may_end.set()
        eventually(working.done)
    assert sorted(gpu.states(*jobs)) == [State.QUEUED, State.SUCCEEDED, State.SUCCEEDED]
    assert [gpu.world.job(job.job_id).attempt for job in jobs].count(1) == 2
