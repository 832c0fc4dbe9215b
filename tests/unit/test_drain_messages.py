"""The loop of a GPU worker on fakes: what it holds, and what it makes of odd messages."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.events import JobMessage
from shared.job import Job, State
from shared.lease import Claim, take
from shared.routing import Destination
from shared.submit import submit
from tests.fakes.processor import Blocked
from tests.fakes.world import request
from tests.unit.gpu import Gpu
from tests.unit.samples import NOON, OUTCOME
from tests.waiting import eventually
from workers.gpu.drain import Drain


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

    @pytest.mark.parametrize(("resent", "ends"), [(0, False), (2, False), (3, True)])
    def test_a_type_that_a_deployment_took_from_the_gpu_is_the_sweeps_for_a_while(
        self, resent: int, ends: bool
    ) -> None:
        """For ever it would go round where functions and Jobs do not agree."""
        gpu = Gpu(gpu_file_types=("mkv",))
        job = self._waits(gpu, times_resent=resent)
        gpu.drain.run()
        assert gpu.subscription.waiting == []
        assert (gpu.world.job(job.job_id).state is State.DEAD_LETTERED) is ends
        assert len(gpu.services.topics.on("dead-letters")) == int(ends)

    def test_a_message_of_a_job_that_has_moved_to_the_cpu_is_nothing(self) -> None:
        gpu = Gpu(gpu_file_types=("mkv",))
        job = self._waits(gpu, times_resent=9, destination=Destination.CPU)
        gpu.drain.run()
        assert gpu.subscription.waiting == []
        assert gpu.world.job(job.job_id).state is State.QUEUED
        assert gpu.services.topics.on("dead-letters") == []

    @staticmethod
    def _waits(gpu: Gpu, **changes: Any) -> Job:
        """An mp4 that was the GPU's when it came."""
        job = submit(request(gpu.services), gpu.services).job
        gpu.services.store.update(
            job.job_id, lambda seen: seen.job.model_copy(update={"destination": Destination.GPU, **changes})
        )
        gpu.subscription.filter = ""
        gpu.publish(JobMessage(job_id=job.job_id, submission=1).encode(), fileType="mp4")
        return job

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
