"""An attempt that loses its lease, or is told to stop."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared import work
from shared.attempt_ends import Verdict
from shared.errors import MachineFault, ProcessingFailed, Unavailable
from shared.job import State
from shared.lease import LeaseLost
from shared.redrive import redrive
from shared.work import attempt
from tests.fakes.processor import Blocked, Step, after, fail, succeed
from tests.fakes.services import fake_services
from tests.fakes.world import WEBHOOK, World, request
from tests.unit.attempts import submitted, try_once, webhooks
from tests.unit.samples import NO_LUCK, NOON
from tests.waiting import eventually


@pytest.fixture
def world() -> World:
    return World()


class TestOwnership:
    def test_a_job_under_a_live_lease_is_held(self, world: World) -> None:
        job = submitted(world)
        world.services.store.update(job.job_id, lambda seen: seen.job.leased("another", NOON))
        verdict, running = try_once(world, job)
        assert (verdict, running.owner) == (Verdict.HELD, "another")

    @pytest.mark.parametrize("ending", [succeed(), fail(ProcessingFailed("no")), fail(Unavailable("down"))])
    def test_a_late_workers_last_attempt_takes_none_from_a_redrive(self, world: World, ending: Step) -> None:
        services = world.services

        def be_redriven() -> None:
            services.store.update(job.job_id, lambda seen: seen.job.dead_lettered(NO_LUCK, NOON))
            services.clock.advance(5)
            services.store.update(job.job_id, lambda seen: seen.job.redriven(NOON))
            services.clock.advance(5)

        job = submitted(world)
        for _ in range(services.settings.max_attempts - 1):
            try_once(world, job, fail(Unavailable("down")))
        verdict, redriven = try_once(world, job, after(be_redriven, ending))
        assert (verdict, redriven.state, redriven.submission) == (Verdict.OVER, State.QUEUED, 2)
        assert (webhooks(services), services.topics.on("dead-letters")) == ([], [])

    @pytest.mark.parametrize(
        "ending", [succeed(), fail(ProcessingFailed("no")), fail(Unavailable("down")), fail(LeaseLost("lost"))]
    )
    def test_a_worker_that_wakes_up_after_its_lease_was_taken_records_nothing_and_causes_no_webhook(
        self, world: World, ending: Step
    ) -> None:
        services = world.services

        def sleep_through_the_lease() -> None:
            services.clock.advance(services.settings.lease_seconds)
            services.store.update(job.job_id, lambda seen: seen.job.leased("the next", NOON))
            services.clock.advance(5)

        job = submitted(world)
        verdict, running = try_once(world, job, after(sleep_through_the_lease, ending))
        assert (running.state, running.owner, running.attempt, running.outcome) == (State.RUNNING, "the next", 2, None)
        assert verdict is Verdict.HELD
        assert webhooks(services) == []
        assert services.topics.on("dead-letters") == []
        assert services.objects.names("state", "open/") == [f"open/shop/{job.job_id}"]

    def test_the_results_of_a_late_worker_do_not_touch_those_that_count(self, world: World) -> None:
        services = world.services
        inner: list[Verdict] = []

        def be_overtaken() -> None:
            services.clock.advance(services.settings.lease_seconds)
            world.processor.steps = [succeed({"probe.json": b"the winner's"})]
            inner.append(attempt(job.job_id, 1, world.worker("the next")))
            services.clock.advance(5)

        job = submitted(world)
        late = after(be_overtaken, succeed({"probe.json": b"too late"}))
        verdict, done = try_once(world, job, late)
        assert (inner, verdict) == ([Verdict.OVER], Verdict.OVER)
        assert done.outcome is not None
        assert done.outcome.folder == f"gs://results/{job.job_id}/2/"
        assert services.objects.data("results", f"{job.job_id}/2/probe.json") == b"the winner's"
        assert webhooks(services) == [f"{job.job_id}-1-1"]

    def test_a_late_failure_does_not_undo_the_winners_success(self, world: World) -> None:
        services = world.services

        def be_overtaken() -> None:
            services.clock.advance(services.settings.lease_seconds)
            world.processor.steps = [succeed()]
            attempt(job.job_id, 1, world.worker("the next"))

        job = submitted(world)
        _, done = try_once(world, job, after(be_overtaken, fail(ProcessingFailed("no"))))
        assert (done.state, done.attempt, done.failure) == (State.SUCCEEDED, 2, None)

    def test_an_older_submission_is_dropped(self, world: World) -> None:
        job = submitted(world)
        world.services.store.update(job.job_id, lambda seen: seen.job.cancelled(NOON))
        world.services.store.update(job.job_id, lambda seen: seen.job.redriven(NOON))
        verdict, redriven = try_once(world, job)
        assert (verdict, redriven.state, redriven.submission) == (Verdict.OVER, State.QUEUED, 2)
        assert world.processor.calls == []

    def test_an_outcome_whose_answer_was_lost_is_ours(self, world: World) -> None:
        services = world.services
        job = submitted(world)
        lose = after(lambda: services.objects.lose_next_answer("jobs/"))
        verdict, done = try_once(world, job, lose)
        assert (verdict, done.state, done.attempt) == (Verdict.OVER, State.SUCCEEDED, 1)
        assert webhooks(services) == [f"{job.job_id}-1-1"]


@pytest.fixture
def beating() -> World:
    """Beats every 20 ms."""
    return World(fake_services(progress_seconds=0.01, beat_seconds=0.02))


class TestEarlyEnd:
    def test_sigterm_hands_the_job_back_uncounted(self, beating: World) -> None:
        job, blocked, worker = submitted(beating), Blocked(), beating.worker()
        beating.processor.steps = [blocked]
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(attempt, job.job_id, 1, worker)
            assert blocked.is_running.wait(10)
            worker.stop.set()
            assert working.result(10) is Verdict.OVER
        back = beating.job(job.job_id)
        assert (back.state, back.attempt, back.attempts_counted, back.failure) == (State.QUEUED, 1, 0, None)
        assert webhooks(beating.services) == []
        # The bell of the first message may be silent by now: a second one rings for whoever comes next.
        assert [message.topic for message in beating.services.topics.published] == ["gpu-tasks"] * 2

    def test_a_job_that_was_handed_back_while_its_results_went_up_has_another_worker_called(
        self, beating: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The work ends without hearing of it, and its outcome is no longer wanted."""
        job, worker, upload = submitted(beating), beating.worker(), work.upload_artifacts
        monkeypatch.setattr("shared.lease._STOP_PATIENCE_SECONDS", 0.1)

        def slow(*given: Any) -> Any:
            worker.stop.set()
            eventually(lambda: beating.job(job.job_id).state is State.QUEUED)
            return upload(*given)

        monkeypatch.setattr(work, "upload_artifacts", slow)
        assert attempt(job.job_id, 1, worker) is Verdict.OVER
        back = beating.job(job.job_id)
        assert (back.state, back.attempts_counted, back.outcome) == (State.QUEUED, 0, None)
        assert [message.topic for message in beating.services.topics.published] == ["gpu-tasks"] * 2

    def test_a_job_is_not_handed_back_for_ever(self, world: World) -> None:
        """Each hand-back may end a worker before its time: four times the attempts are enough."""
        job, worker, services = submitted(world), world.worker(), world.services
        worker.stop.set()
        most = 4 * services.settings.max_attempts
        for number in range(1, most + 1):
            _, back = try_once(world, job, worker=worker)
            assert (back.state, back.attempt, back.attempts_counted) == (State.QUEUED, number, 0)
        verdict, lost = try_once(world, job)
        assert lost.failure is not None
        assert (verdict, lost.state, lost.failure.code) == (Verdict.OVER, State.DEAD_LETTERED, "handed_back")
        assert lost.failure.message.startswith("gave up after 0 attempts and 20 hand-backs")
        assert len(services.topics.on("dead-letters")) == 1
        # A person's word gives it as many again.
        redrive(job.job_id, services)
        services.clock.advance(2)
        assert attempt(job.job_id, 2, world.worker()) is Verdict.OVER
        assert world.job(job.job_id).state is State.SUCCEEDED

    def test_hand_backs_are_not_counted_as_attempts(self, world: World) -> None:
        job, worker = submitted(world), world.worker()
        worker.stop.set()
        for number in range(1, 8):
            verdict, back = try_once(world, job, worker=worker)
            assert (verdict, back.attempt, back.attempts_counted) == (Verdict.OVER, number, 0)
        assert try_once(world, job)[1].state is State.SUCCEEDED

    def test_cancelling_in_the_middle_ends_the_work(self, beating: World) -> None:
        job, blocked = submitted(beating), Blocked()
        beating.processor.steps = [blocked]
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(attempt, job.job_id, 1, beating.worker())
            assert blocked.is_running.wait(10)
            beating.services.store.update(job.job_id, lambda seen: seen.job.cancelled(NOON))
            assert working.result(10) is Verdict.OVER
        cancelled = beating.job(job.job_id)
        assert (cancelled.state, cancelled.outcome, cancelled.finished_at) == (State.CANCELLED, None, NOON)
        assert beating.services.objects.names("results") == []

    def test_progress_of_a_running_job_is_seen_in_its_record(self, beating: World) -> None:
        job, blocked = submitted(beating), Blocked()
        beating.processor.steps = [blocked]

        def stage() -> str | None:
            progress = beating.job(job.job_id).progress
            return progress.stage if progress else None

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(attempt, job.job_id, 1, beating.worker())
            eventually(lambda: stage() == "decode")
            blocked.may_end.set()
            assert working.result(10) is Verdict.OVER
        assert beating.job(job.job_id).state is State.SUCCEEDED

    def test_the_message_is_extended_while_the_work_goes_on(self, beating: World) -> None:
        job, blocked, extensions = submitted(beating), Blocked(), threading.Semaphore(0)
        beating.processor.steps = [blocked]
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(attempt, job.job_id, 1, beating.worker(), extend=lambda: extensions.release())
            assert extensions.acquire(timeout=10)
            assert extensions.acquire(timeout=10)
            blocked.may_end.set()
            assert working.result(10) is Verdict.OVER


@pytest.mark.parametrize(
    "ending", [succeed(), fail(ProcessingFailed("no")), fail(Unavailable("down")), fail(ValueError("a bug"))]
)
def test_no_log_line_tells_a_secret(ending: Step, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World()
    world.services.faults.fail_next("queues.enqueue webhooks", Unavailable("down"))
    world.processor.steps = [ending]
    world.insist(request(world.services))
    world.settle()
    lines = [str(vars(record)) + record.getMessage() for record in caplog.records] + [caplog.text]
    assert len(lines) > 3
    assert not [line for line in lines for secret in ("secret", "token=", WEBHOOK) if secret in line]


@pytest.mark.parametrize(
    ("counted", "state", "messages"), [(0, State.QUEUED, 2), (4, State.DEAD_LETTERED, 1)], ids=["first", "last"]
)
def test_a_worker_whose_machine_is_at_fault_takes_no_more_and_calls_another(
    world: World, counted: int, state: State, messages: int
) -> None:
    worker, job = world.worker(), submitted(world)
    world.services.store.update(job.job_id, lambda seen: seen.job.model_copy(update={"attempts_counted": counted}))
    verdict, after_it = try_once(world, job, fail(MachineFault("CUDA failed")), worker=worker)
    assert worker.closing.is_set()
    assert (verdict, after_it.state, after_it.attempts_counted) == (Verdict.OVER, state, counted + 1)
    assert after_it.failure is not None
    assert after_it.failure.code == "machine_fault"
    assert len(world.services.topics.on("gpu-tasks")) == messages
