"""An attempt that has too little time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.attempt_ends import Verdict
from shared.classify import FileFacts
from shared.errors import (
    Unavailable,
)
from shared.events import job_message
from shared.job import State
from shared.routing import Destination
from shared.work import attempt
from tests.fakes.processor import Blocked, FakeProcessor
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, WEBHOOK, World, request
from tests.unit.attempts import submitted, try_once, webhooks
from tests.waiting import eventually


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def beating() -> World:
    """Beats every 20 ms."""
    return World(fake_services(progress_seconds=0.01, beat_seconds=0.02))


class TestTime:
    """720 s of media are taken to need 360 s; an attempt has 900 s."""

    @pytest.mark.parametrize(
        ("media_seconds", "left", "age", "state", "code"),
        [
            (720, 400, 500, State.SUCCEEDED, None),
            (720, 300, 600, State.QUEUED, None),
            # No other process could do better, and what was measured may not hold for this file.
            (720, 300, 0, State.SUCCEEDED, None),
            (1621, 899, 0, State.SUCCEEDED, None),
            (1621, 800, 100, State.QUEUED, None),
            (1e8, 899, 0, State.FAILED, "too_long"),
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
            eventually(lambda: webhooks(beating.services))
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
