"""An attempt that loses its lease, is told to stop, or has too little time."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.classify import FileFacts
from shared.errors import (
    ProcessingFailed,
    Unavailable,
)
from shared.events import job_message
from shared.job import State
from shared.lease import LeaseLost
from shared.redrive import redrive
from shared.routing import Destination
from shared.work import Verdict, attempt
from tests.fakes.processor import Blocked, FakeProcessor, Step, after, fail, succeed
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, WEBHOOK, World, request
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


class TestTime:
    """720 s of media are taken to need 360 s; an attempt has 900 s."""

    @pytest.mark.parametrize(
        ("media_seconds", "left", "age", "state", "code"),
        [
            (720, 400, 500, State.SUCCEEDED, None),
            (720, 300, 600, State.QUEUED, None),
            # The fetch took so long that no other process could do better.
            (720, 300, 0, State.FAILED, "too_long"),
            (1619, 899, 0, State.SUCCEEDED, None),
            (1621, 899, 0, State.FAILED, "too_long"),
            (1e6, None, 0, State.SUCCEEDED, None),
            (None, 40, 800, State.SUCCEEDED, None),
            # The work is longer than it seemed.
            (None, 10, 800, State.QUEUED, None),
            (None, 10, 0, State.FAILED, "too_long"),
        ],
    )
    def test_a_file_that_does_not_fit_goes_back_and_one_that_fits_nowhere_fails(
        self,
        world: World,
        media_seconds: float | None,
        left: float | None,
        age: float,
        state: State,
        code: str | None,
    ) -> None:
        world.processor.seconds = media_seconds
        job = submitted(world)
        ends_at = None if left is None else time.monotonic() + left
        worker = world.worker(ends_at=ends_at, age=age)
        worker.pace.learn(100.0, 40.0, job.operations)
        _, after_it = try_once(world, job, worker=worker)
        assert worker.closing.is_set() is (after_it.state is State.QUEUED)
        assert after_it.state is state
        assert (after_it.failure.code if after_it.failure else None) == code
        assert after_it.attempts_counted == (0 if state is State.QUEUED else 1)

    def test_work_that_hears_nothing_has_no_more_time_than_any_other(
        self, beating: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Deep in a model it reports nothing: handed back when the platform ends it, it would come again for ever."""
        monkeypatch.setattr("shared.time_limit._DEAF_SECONDS", 0.1, raising=False)
        job, blocked = submitted(beating, request(beating.services, webhook_url=WEBHOOK)), Blocked(is_deaf=True)
        beating.processor.steps = [blocked]
        with ThreadPoolExecutor(1) as pool:
            # Two seconds, and those that are kept to record why.
            working = pool.submit(attempt, job.job_id, 1, beating.worker(ends_at=time.monotonic() + 17))
            failed = eventually(lambda: (seen := beating.job(job.job_id)).state.is_terminal and seen, within_s=20)
            assert (failed.state, failed.failure and failed.failure.code) == (State.FAILED, "too_long")
            eventually(lambda: webhooks(beating.services), within_s=5)
            blocked.may_end.set()
            assert working.result(10) is Verdict.OVER
        assert beating.job(job.job_id) == failed
        assert webhooks(beating.services) == [f"{job.job_id}-1-1"]

    @pytest.mark.parametrize(
        ("media_seconds", "left", "age", "state", "code"),
        [
            (720, 300, 600, State.QUEUED, None),
            (720, 300, 0, State.SUCCEEDED, None),
            (1e4, 300, 600, State.QUEUED, None),
            (1e4, 899, 0, State.SUCCEEDED, None),
            (1e8, 899, 0, State.FAILED, "too_long"),
        ],
    )
    def test_a_guess_hands_a_job_back_and_never_ends_it(
        self, world: World, media_seconds: float, left: float, age: float, state: State, code: str | None
    ) -> None:
        world.processor.seconds = media_seconds
        job, worker = submitted(world), world.worker(ends_at=time.monotonic() + left, age=age)
        _, after_it = try_once(world, job, worker=worker)
        assert (after_it.state, after_it.failure.code if after_it.failure else None) == (state, code)

    @pytest.fixture
    def with_gke(self) -> World:
        return World(fake_services(**NO_BEATS, enable_gke_route=True), FakeProcessor(seconds=1e8))

    def test_what_fits_no_execution_goes_to_gke_where_that_is_allowed(self, with_gke: World) -> None:
        job = submitted(with_gke)
        verdict, moved = try_once(with_gke, job, worker=with_gke.worker(ends_at=time.monotonic() + 900))
        assert (verdict, moved.state, moved.destination) == (Verdict.OVER, State.QUEUED, Destination.GKE)
        assert moved.reason.startswith("gke: ")
        assert "an attempt has 900 s" in moved.reason
        assert (moved.attempts_counted, moved.failure) == (0, None)
        (message,) = with_gke.services.topics.on("gpu-tasks-gke")
        assert job_message(message.data).job_id == job.job_id

    def test_a_job_on_its_way_to_gke_is_not_failed_by_its_old_message(self, with_gke: World) -> None:
        """The publish to GKE failed, and the GPU message came again."""
        job, worker = submitted(with_gke), with_gke.worker(ends_at=time.monotonic() + 900)
        with_gke.services.faults.fail_next("topics.publish gpu-tasks-gke", Unavailable("Pub/Sub is down"))
        with pytest.raises(Unavailable):
            try_once(with_gke, job, worker=worker)
        with_gke.services.clock.advance(60)
        verdict, moved = try_once(with_gke, job, worker=worker)
        assert (verdict, moved.state, moved.destination) == (Verdict.OVER, State.QUEUED, Destination.GKE)
        assert len(with_gke.services.topics.on("gpu-tasks-gke")) == 1

    def test_what_fits_no_cpu_execution_fails_even_with_gke(self, with_gke: World) -> None:
        png = FileFacts(kind="image", file_type="png", content_type="image/png", size=9, found="a PNG image")
        job = submitted(with_gke, request(with_gke.services, file=png))
        verdict, failed = try_once(with_gke, job, worker=with_gke.worker(ends_at=time.monotonic() + 900))
        assert failed.failure is not None
        assert (verdict, failed.state, failed.failure.code) == (Verdict.OVER, State.FAILED, "too_long")


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
