"""The loop of a GPU worker on fakes: what it takes, and when it leaves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.errors import MachineFault, Misconfigured, Unavailable
from shared.job import State
from shared.pubsub import Delivery
from tests.fakes.processor import Blocked, after, fail, succeed
from tests.fakes.topics import FakeSubscription
from tests.unit.gpu import Gpu
from tests.waiting import eventually
from workers.gpu.drain import Drain
from workers.heartbeat import Heartbeat


class Impatient(threading.Event):
    """Does not wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0)


def test_every_message_is_worked_on_and_acknowledged_and_then_the_drainer_leaves() -> None:
    gpu = Gpu()
    jobs = gpu.submit("a", "b", "c", "d", "e")
    gpu.drain.run()
    assert gpu.states(*jobs) == [State.SUCCEEDED] * 5
    assert gpu.subscription.waiting == []


def test_no_more_messages_are_taken_than_there_are_places() -> None:
    blocked = Blocked()
    gpu = Gpu(blocked)
    jobs = gpu.submit("a", "b", "c")
    with gpu.running():
        eventually(lambda: gpu.states(*jobs).count(State.RUNNING) == 2)
        pulls = gpu.services.faults.calls.count("gpu-work.pull")
        eventually(lambda: gpu.states(*jobs) == [State.RUNNING, State.RUNNING, State.QUEUED])
        assert gpu.services.faults.calls.count("gpu-work.pull") == pulls
        blocked.may_end.set()
        eventually(lambda: gpu.states(*jobs) == [State.SUCCEEDED] * 3)


def test_a_free_place_is_filled_while_the_other_one_is_busy() -> None:
    blocked = Blocked()
    gpu = Gpu(blocked, succeed())
    jobs = gpu.submit("a", "b", "c", "d")
    with gpu.running():
        eventually(lambda: gpu.states(*jobs).count(State.SUCCEEDED) == 3)
        assert gpu.states(*jobs).count(State.RUNNING) == 1
        blocked.may_end.set()
        eventually(lambda: gpu.states(*jobs) == [State.SUCCEEDED] * 4)


def test_a_job_that_must_be_tried_again_is_nacked() -> None:
    gpu = Gpu(fail(Unavailable("down")), succeed())
    (job,) = gpu.submit("a")
    gpu.drain.run()
    assert gpu.states(job) == [State.QUEUED]
    assert len(gpu.subscription.nacked) == 1
    assert len(gpu.subscription.waiting) == 1


def test_a_worker_whose_machine_is_at_fault_leaves_the_rest_to_another() -> None:
    # The other place is busy until the worker takes nothing new.
    gpu = Gpu(fail(MachineFault("CUDA failed")), after(lambda: gpu.worker.closing.wait(60)))
    jobs = gpu.submit("a", "b", "c", "d", "e")
    gpu.drain.run()
    assert gpu.states(*jobs).count(State.QUEUED) >= 3
    assert State.FAILED not in gpu.states(*jobs)
    assert len(gpu.subscription.waiting) >= 2


def test_two_drainers_on_one_subscription_do_each_job_once() -> None:
    gpu = Gpu()
    jobs = gpu.submit(*"abcdefgh")
    drains: list[Callable[[], None]] = [gpu.drain.run, Drain(gpu.world.worker("second"), gpu.subscription, 0.05).run]
    threads = [threading.Thread(target=run) for run in drains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert gpu.states(*jobs) == [State.SUCCEEDED] * 8
    assert len(gpu.world.processor.calls) == 8


class TestEnd:
    def test_a_drainer_without_work_leaves_when_its_time_of_patience_is_over(self) -> None:
        began = time.monotonic()
        Gpu(idle_seconds=0.1).drain.run()
        assert time.monotonic() - began >= 0.1

    def test_the_time_of_patience_begins_anew_with_each_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        monkeypatch.setattr("workers.gpu.drain.time", SimpleNamespace(monotonic=lambda: now[0]))
        gpu = Gpu(idle_seconds=10)
        with gpu.running() as working:
            for key in ("a", "b", "c"):
                (job,) = gpu.submit(key)
                eventually(lambda job=job: gpu.states(job) == [State.SUCCEEDED])
                now[0] += 9
            pulls = gpu.services.faults.calls.count("gpu-work.pull")
            eventually(lambda: gpu.services.faults.calls.count("gpu-work.pull") > pulls + 2)
            assert not working.done()

    def test_a_drainer_that_was_slow_to_begin_looks_once_before_it_leaves(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = count(step=100)
        monkeypatch.setattr("workers.gpu.drain.time", SimpleNamespace(monotonic=lambda: next(times)))
        gpu = Gpu(idle_seconds=10)
        (job,) = gpu.submit("a")
        gpu.drain.run()
        assert gpu.states(job) == [State.SUCCEEDED]

    def test_a_pod_serves_without_end(self) -> None:
        gpu = Gpu(idle_seconds=None)
        with gpu.running() as working:
            pulls = gpu.services.faults.calls.count("gpu-work.pull")
            eventually(lambda: gpu.services.faults.calls.count("gpu-work.pull") > pulls + 5)
            assert not working.done()

    def test_a_drainer_near_its_end_takes_nothing_new(self) -> None:
        gpu = Gpu(ends_in=29, idle_seconds=None)
        (job,) = gpu.submit("a")
        gpu.drain.run()
        assert gpu.states(job) == [State.QUEUED]
        assert "gpu-work.pull" not in gpu.services.faults.calls

    def test_a_worker_told_to_stop_hands_back_what_it_cannot_end(self) -> None:
        gpu = Gpu(Blocked())
        jobs = gpu.submit("a", "b", "c")
        with gpu.running() as working:
            eventually(lambda: gpu.states(*jobs).count(State.RUNNING) == 2)
            gpu.worker.stop.set()
            eventually(working.done)
        assert gpu.states(*jobs) == [State.QUEUED] * 3
        assert [gpu.world.job(job.job_id).attempts_counted for job in jobs] == [0, 0, 0]
        assert len(gpu.subscription.acked) == 2
        assert len(gpu.services.topics.published) == 5

    def test_what_a_last_pull_brought_goes_back_untouched(self) -> None:
        """SIGTERM comes while the pull is under way."""
        gpu = Gpu()
        (job,) = gpu.submit("a")
        stop, subscription = gpu.worker.stop, gpu.subscription

        class Interrupted(FakeSubscription):
            def pull(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
                stop.set()
                return subscription.pull(limit, timeout_seconds=timeout_seconds)

            def nack(self, ack_id: str) -> None:
                subscription.nack(ack_id)

        interrupted = Interrupted(gpu.services.clock, gpu.services.faults, "gpu-work")
        Drain(gpu.worker, interrupted, None).run()
        assert len(subscription.nacked) == 1
        assert (gpu.states(job), gpu.world.job(job.job_id).attempt) == ([State.QUEUED], 0)

    def test_what_is_held_at_the_end_is_finished(self) -> None:
        blocked = Blocked()
        gpu = Gpu(blocked, idle_seconds=0.05)
        (job,) = gpu.submit("a")
        with gpu.running() as working:
            assert blocked.is_running.wait(10)
            pulls = gpu.services.faults.calls.count("gpu-work.pull")
            eventually(lambda: gpu.services.faults.calls.count("gpu-work.pull") > pulls + 10)
            assert not working.done()
            blocked.may_end.set()
            eventually(working.done)
        assert gpu.states(job) == [State.SUCCEEDED]

    def test_a_failed_pull_is_tried_again(self, caplog: pytest.LogCaptureFixture) -> None:
        gpu = Gpu(idle_seconds=5, stop=Impatient())
        (job,) = gpu.submit("a")
        gpu.services.faults.fail_next("gpu-work.pull", Unavailable("down"), times=3)
        with caplog.at_level(logging.WARNING), gpu.running():
            eventually(lambda: gpu.states(job) == [State.SUCCEEDED])
        assert [line.event for line in caplog.records].count("drain.pull_failed") == 3

    def test_a_subscription_that_is_not_there_ends_the_worker(self) -> None:
        gpu = Gpu()
        gpu.services.faults.fail_next("gpu-work.pull", Misconfigured("no such subscription"))
        with pytest.raises(Misconfigured):
            gpu.drain.run()

    @pytest.mark.parametrize("is_asked", [True, False], ids=["it is asked to leave", "its subscription is gone"])
    def test_what_is_at_work_when_the_loop_ends_is_not_taken_for_a_loop_that_hangs(
        self, tmp_path: Path, is_asked: bool
    ) -> None:
        """A pod's probe would kill the file that is at work with it."""
        blocked, file = Blocked(), tmp_path / "heartbeat"
        gpu = Gpu(blocked)
        drain = Drain(gpu.worker, gpu.subscription, None, Heartbeat(file))

        def beats_and_pulls_no_more() -> bool:
            before = gpu.services.faults.calls.count("gpu-work.pull")
            # The loop pulls between two beats.
            for _ in range(3):
                file.unlink(missing_ok=True)
                eventually(file.exists, "it beats", within_s=5)
            return gpu.services.faults.calls.count("gpu-work.pull") == before

        (job,) = gpu.submit("a")
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(drain.run)
            try:
                assert blocked.is_running.wait(10)
                if is_asked:
                    gpu.worker.closing.set()
                else:
                    gpu.services.faults.fail_next("gpu-work.pull", Misconfigured("no such subscription"))
                eventually(beats_and_pulls_no_more)
            finally:
                blocked.may_end.set()
            assert (working.exception(10) is None) is is_asked
        assert gpu.states(job) == [State.SUCCEEDED]
