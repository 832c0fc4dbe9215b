"""The heartbeat of a GPU worker's loop: what beats, what does not, and what a pod's probes would see."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.job import State
from shared.pubsub import Delivery
from tests.fakes.processor import Blocked
from tests.fakes.topics import FakeSubscription
from tests.unit.gpu import Gpu
from tests.waiting import eventually
from workers.gpu.drain import Drain
from workers.heartbeat import Heartbeat


class Hung(FakeSubscription):
    """Its pull does not come back until it is let go."""

    may_return: threading.Event
    is_hung: threading.Event

    def pull(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
        self.is_hung.set()
        self.may_return.wait(30)
        return ()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


def beating(gpu: Gpu, file: Path) -> Gpu:
    gpu.drain.heartbeat = Heartbeat(file)
    return gpu


def beats(file: Path) -> None:
    """Returns when the heart has beaten twice from now; fails when it does not."""
    for _ in range(2):
        file.unlink(missing_ok=True)
        eventually(file.exists, "the heart beats", within_s=10)


def test_an_idle_loop_beats(file: Path) -> None:
    with beating(Gpu(idle_seconds=None), file).running():
        beats(file)


def test_a_job_of_any_length_does_not_stop_the_heart(file: Path) -> None:
    blocked = Blocked()
    gpu = beating(Gpu(blocked, idle_seconds=None), file)
    jobs = gpu.submit("a", "b", "c")
    with gpu.running():
        eventually(lambda: gpu.states(*jobs).count(State.RUNNING) == 2)
        beats(file)
        blocked.may_end.set()


def test_a_loop_that_hangs_beats_no_more(file: Path) -> None:
    gpu = Gpu()
    hung = Hung(gpu.services.clock, gpu.services.faults, "gpu-work")
    hung.may_return, hung.is_hung = threading.Event(), threading.Event()
    gpu.drain = Drain(gpu.worker, hung, None, Heartbeat(file))
    with gpu.running():
        assert hung.is_hung.wait(10)
        file.unlink()
        # Whatever else this process does, none of its other threads may touch the file.
        gpu.worker.closing.wait(0.3)
        assert not file.exists()
        gpu.worker.stop.set()
        hung.may_return.set()


def test_a_worker_that_nobody_probes_touches_nothing(tmp_path: Path) -> None:
    gpu = Gpu()
    assert gpu.drain.heartbeat == Heartbeat(None)
    gpu.drain.run()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_made_ends_the_worker_and_says_why(tmp_path: Path) -> None:
    gpu = beating(Gpu(), tmp_path / "absent" / "heartbeat")
    with pytest.raises(FileNotFoundError, match="absent"):
        gpu.drain.run()
