"""The loop of a GPU worker on fakes: what it takes, holds, answers and leaves."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from shared.errors import PermanentError, Unavailable
from shared.events import JobMessage
from shared.job import Job, State
from shared.lease import Claim, take
from shared.pubsub import Delivery
from tests.fakes.processor import Blocked, FakeProcessor, Step, fail, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.topics import FakeSubscription
from tests.fakes.world import World, request
from tests.unit.samples import NOON, OUTCOME
from tests.waiting import eventually
from workers.gpu.drain import Drain


class Impatient(threading.Event):
    """Does not wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0)


class Gpu:
    """One worker process on gpu-work, with two places and beats every 20 ms."""

    def __init__(
        self,
        *steps: Step,
        idle_seconds: float | None = 0.05,
        ends_in: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        services = fake_services(worker_concurrency=2, progress_seconds=0.01, beat_seconds=0.02)
        self.world = World(services, FakeProcessor(list(steps) or [succeed()]))
        ends_at = None if ends_in is None else time.monotonic() + ends_in
        self.worker = self.world.worker(ends_at=ends_at, stop=stop)
        self.drain = Drain(self.worker, self.subscription, idle_seconds)

    @property
    def services(self) -> FakeServices:
        return self.world.services

    @property
    def subscription(self) -> FakeSubscription:
        return self.world.services.topics.subscription("gpu-work")

    def submit(self, *keys: str) -> list[Job]:
        jobs = [self.world.submit(request(self.services, idempotency_key=key)).job for key in keys]
        self.services.clock.advance(5)
        return jobs

    def publish(self, data: bytes, **attributes: str) -> None:
        self.services.topics.publish("gpu-tasks", data, attributes)

    def states(self, *jobs: Job) -> list[State]:
        return [self.world.job(job.job_id).state for job in jobs]

    @contextmanager
    def running(self) -> Iterator[Future[None]]:
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(self.drain.run)
            try:
                yield working
            finally:
                self.worker.stop.set()
                working.result(10)


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


class TestParked:
    @pytest.fixture
    def gpu(self) -> Gpu:
        """Its one message is of a job that another worker is at."""
        gpu = Gpu()
        (self.job,) = gpu.submit("a")
        assert take(self.job.job_id, 1, "another", gpu.services).claim is Claim.TAKEN
        return gpu

    def test_the_message_of_a_job_under_a_live_lease_is_held_and_never_nacked(self, gpu: Gpu) -> None:
        with gpu.running() as working:
            eventually(lambda: len(gpu.subscription.extended) >= 8)
            assert (gpu.subscription.nacked, gpu.subscription.acked) == ([], [])
            assert not working.done()

    def test_it_is_acknowledged_when_the_job_is_over(self, gpu: Gpu) -> None:
        with gpu.running() as working:
            eventually(lambda: gpu.subscription.extended)
            gpu.services.store.update(self.job.job_id, lambda seen: seen.job.succeeded(OUTCOME, (), NOON))
            eventually(working.done)
        assert len(gpu.subscription.acked) == 1
        assert gpu.world.processor.calls == []

    def test_it_is_worked_on_when_the_lease_has_expired(self, gpu: Gpu) -> None:
        with gpu.running() as working:
            eventually(lambda: gpu.subscription.extended)
            gpu.services.clock.advance(gpu.services.settings.lease_seconds)
            eventually(working.done)
        done = gpu.world.job(self.job.job_id)
        assert (done.state, done.attempt) == (State.SUCCEEDED, 2)

    def test_it_goes_back_when_the_worker_stops(self, gpu: Gpu) -> None:
        with gpu.running():
            eventually(lambda: gpu.subscription.extended)
        assert len(gpu.subscription.nacked) == 1

    def test_it_is_held_while_all_places_are_busy_even_through_an_outage(self, gpu: Gpu) -> None:
        blocked = Blocked()
        gpu.world.processor.steps = [blocked]
        with gpu.running() as working:
            eventually(lambda: gpu.subscription.extended)
            others = gpu.submit("b", "c")
            eventually(lambda: gpu.states(*others) == [State.RUNNING] * 2)
            # Counted by message: those of the two that are worked on are extended by their own beats.
            first = gpu.subscription.extended[0][0]
            gpu.services.faults.fail_next("gpu-work.extend", Unavailable("Pub/Sub is down"), times=20)
            before = len(gpu.subscription.extended)
            eventually(lambda: first in [message for message, _ in gpu.subscription.extended[before:]])
            assert not working.done()
            blocked.may_end.set()
            eventually(lambda: gpu.states(*others) == [State.SUCCEEDED] * 2)


class TestMessages:
    def test_a_message_that_names_no_job_becomes_a_letter_and_is_acknowledged(self) -> None:
        gpu = Gpu()
        gpu.publish(b"not a job", fileType="mp4")
        gpu.drain.run()
        (letter,) = gpu.services.topics.on("dead-letters")
        assert json.loads(letter.data)["data"] == "not a job"
        assert gpu.subscription.waiting == []

    def test_a_message_that_names_no_job_stays_until_its_letter_is_safe(self) -> None:
        gpu = Gpu()
        gpu.publish(b"not a job", fileType="mp4")
        gpu.services.faults.fail_next("topics.publish dead-letters", Unavailable("down"))
        gpu.drain.run()
        assert gpu.services.topics.on("dead-letters") == []
        assert len(gpu.subscription.waiting) == 1

    @pytest.mark.parametrize("file_type", ["mkv", ""])
    def test_a_type_that_a_wrong_filter_let_through_is_given_up_and_not_lost(self, file_type: str) -> None:
        gpu = Gpu()
        (job,) = gpu.submit("a")
        gpu.subscription.ack(gpu.subscription.pull(1, timeout_seconds=0)[0].ack_id)
        gpu.subscription.filter = ""
        message = JobMessage(job_id=job.job_id, submission=1)
        gpu.publish(message.encode(), **({"fileType": file_type} if file_type else {}))
        gpu.drain.run()
        dead = gpu.world.job(job.job_id)
        assert dead.failure is not None
        assert (dead.state, dead.failure.code) == (State.DEAD_LETTERED, "misrouted")
        assert len(gpu.services.topics.on("dead-letters")) == 1
        assert gpu.subscription.waiting == []

    def test_a_stray_message_of_an_older_submission_gives_nothing_up(self) -> None:
        gpu = Gpu()
        (job,) = gpu.submit("a")
        gpu.services.store.update(job.job_id, lambda seen: seen.job.cancelled(NOON).redriven(NOON))
        gpu.subscription.ack(gpu.subscription.pull(1, timeout_seconds=0)[0].ack_id)
        gpu.subscription.filter = ""
        gpu.publish(JobMessage(job_id=job.job_id, submission=1).encode(), fileType="mkv")
        gpu.drain.run()
        assert gpu.states(job) == [State.QUEUED]
        assert gpu.subscription.waiting == []

    def test_a_message_without_a_record_is_acknowledged(self) -> None:
        gpu = Gpu()
        gpu.publish(JobMessage(job_id="0" * 32, submission=1).encode(), fileType="mp4")
        gpu.drain.run()
        assert gpu.subscription.waiting == []

    @pytest.mark.parametrize("call", ["gpu-work.ack", "gpu-work.extend", "objects.read jobs/"])
    def test_a_message_that_could_not_be_answered_comes_again(
        self, call: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        gpu = Gpu()
        (job,) = gpu.submit("a")
        if call == "gpu-work.extend":
            assert take(job.job_id, 1, "another", gpu.services).claim is Claim.TAKEN
        gpu.services.faults.fail_next(call, Unavailable("down"))
        with caplog.at_level(logging.WARNING):
            gpu.drain.run()
        assert "drain.unanswered" in [line.event for line in caplog.records]
        assert len(gpu.subscription.waiting) == 1
        gpu.services.clock.advance(gpu.services.settings.ack_deadline_seconds)
        Drain(gpu.world.worker(), gpu.subscription, 0.05).run()
        assert gpu.states(job) == [State.SUCCEEDED]
        assert gpu.subscription.waiting == []


class TestEnd:
    def test_a_drainer_without_work_leaves_when_its_time_of_patience_is_over(self) -> None:
        began = time.monotonic()
        Gpu(idle_seconds=0.1).drain.run()
        assert 0.1 <= time.monotonic() - began < 5

    def test_the_time_of_patience_begins_anew_with_each_message(self) -> None:
        gpu = Gpu(idle_seconds=0.5)
        with gpu.running() as working:
            for key in ("a", "b", "c"):
                (job,) = gpu.submit(key)
                eventually(lambda job=job: gpu.states(job) == [State.SUCCEEDED])
            assert not working.done()

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
        assert len(gpu.subscription.nacked) == 2

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
        gpu.services.faults.fail_next("gpu-work.pull", PermanentError("no such subscription", code="misconfigured"))
        with pytest.raises(PermanentError):
            gpu.drain.run()


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
