"""Who may take a job's lease."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.job import Job, State
from shared.lease import Claim, Taken, take
from tests.fakes.services import FakeServices
from tests.unit.attempts import put, record_of
from tests.unit.samples import job, job_in


class TestTake:
    def test_a_waiting_job_is_taken_as_a_new_attempt(self, services: FakeServices) -> None:
        queued = put(services, job())
        taken = take(queued.job_id, 1, "worker/1", services)
        assert taken == Taken(Claim.TAKEN, record_of(services, queued))
        assert taken.job is not None
        assert (taken.job.state, taken.job.owner, taken.job.attempt) == (State.RUNNING, "worker/1", 1)
        assert taken.job.started_at == services.now()

    def test_a_live_lease_of_another_is_held(self, services: FakeServices) -> None:
        queued = put(services, job())
        take(queued.job_id, 1, "worker/1", services)
        services.clock.advance(services.settings.lease_seconds - 0.1)
        assert take(queued.job_id, 1, "worker/2", services).claim is Claim.HELD
        assert record_of(services, queued).owner == "worker/1"

    def test_an_expired_lease_is_taken_over_as_the_next_attempt(self, services: FakeServices) -> None:
        queued = put(services, job())
        take(queued.job_id, 1, "worker/1", services)
        services.clock.advance(services.settings.lease_seconds)
        taken = take(queued.job_id, 1, "worker/2", services)
        assert taken.claim is Claim.TAKEN
        assert taken.job is not None
        assert (taken.job.owner, taken.job.attempt, taken.job.attempts_counted) == ("worker/2", 2, 2)

    @pytest.mark.parametrize("state", [state for state in State if state.is_terminal])
    def test_a_terminal_job_is_over(self, services: FakeServices, state: State) -> None:
        ended = put(services, job_in(state))
        assert take(ended.job_id, 1, "worker/2", services) == Taken(Claim.OVER, ended)

    @pytest.mark.parametrize("submission", [1, 3])
    def test_the_message_of_another_submission_is_over(self, services: FakeServices, submission: int) -> None:
        redriven = put(services, job(submission=2))
        assert take(redriven.job_id, submission, "worker/1", services).claim is Claim.OVER
        assert record_of(services, redriven) == redriven

    def test_a_job_without_a_record_is_over(self, services: FakeServices) -> None:
        assert take("0" * 32, 1, "worker/1", services) == Taken(Claim.OVER, None)

    @pytest.mark.parametrize("record", [job(attempts_counted=5), job_in(State.RUNNING)])
    def test_the_sixth_attempt_is_not_made(self, services: FakeServices, record: Job) -> None:
        used_up = put(services, record.model_copy(update={"attempts_counted": 5}))
        assert take(used_up.job_id, 1, "worker/2", services) == Taken(Claim.EXHAUSTED, used_up)

    def test_a_take_whose_answer_was_lost_is_ours(self, services: FakeServices) -> None:
        queued = put(services, job())
        services.objects.lose_next_answer("jobs/")
        taken = take(queued.job_id, 1, "worker/1", services)
        assert taken.claim is Claim.TAKEN
        assert taken.job is not None
        assert (taken.job.attempt, taken.job.attempts_counted) == (1, 1)

    def test_of_many_at_once_one_takes_it(self, services: FakeServices) -> None:
        queued = put(services, job())
        number = 8
        start = threading.Barrier(number)

        def one(worker: int) -> Claim:
            start.wait(10)
            return take(queued.job_id, 1, f"worker/{worker}", services).claim

        with ThreadPoolExecutor(number) as pool:
            claims = list(pool.map(one, range(number)))
        assert sorted(claims) == [Claim.HELD] * (number - 1) + [Claim.TAKEN]
        assert record_of(services, queued).attempt == 1
