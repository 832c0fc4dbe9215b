"""One attempt at one job, and the promises it keeps when things go wrong in the middle."""

from __future__ import annotations

import errno
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from shared.classify import FileFacts
from shared.errors import (
    PermanentError,
    ProcessingFailed,
    ResourceExhausted,
    SourceMissing,
    Unavailable,
    UnsupportedMedia,
)
from shared.events import job_message
from shared.job import Failure, Job, Source, State
from shared.processor import Report, Result
from shared.routing import Destination
from shared.submit import JobRequest
from shared.work import Verdict, Worker, attempt
from tests.fakes.processor import ARTIFACTS, Blocked, FakeProcessor, Step, after, fail, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import NO_BEATS, WEBHOOK, World, request
from tests.unit.samples import NOON
from tests.waiting import eventually


@pytest.fixture
def world() -> World:
    return World()


def submitted(world: World, asked: JobRequest | None = None) -> Job:
    job = world.submit(asked).job
    world.services.clock.advance(5)
    return job


def try_once(world: World, job: Job, *steps: Step, worker: Worker | None = None) -> tuple[Verdict, Job]:
    """One attempt, and the record after it."""
    if steps:
        world.processor.steps = list(steps)
    verdict = attempt(job.job_id, job.submission, worker or world.worker())
    world.services.clock.advance(2)
    return verdict, world.job(job.job_id)


def webhooks(services: FakeServices) -> list[str]:
    return [task.name for task in services.queues.on("webhooks")]


class TestSuccess:
    def test_artifacts_are_whole_under_the_attempts_folder_and_the_record_names_it(self, world: World) -> None:
        job = submitted(world)
        verdict, done = try_once(world, job)
        assert (verdict, done.state, done.attempt) == (Verdict.OVER, State.SUCCEEDED, 1)
        outcome = done.outcome
        assert outcome is not None
        assert outcome.folder == f"gs://results/{job.job_id}/1/"
        results = {
            name: world.services.objects.data("results", name) for name in world.services.objects.names("results")
        }
        assert results == {f"{job.job_id}/1/{name}": data for name, data in ARTIFACTS.items()}
        assert [(made.name, made.size) for made in outcome.artifacts] == [
            (name, len(data)) for name, data in ARTIFACTS.items()
        ]
        assert (outcome.device, outcome.media_seconds, outcome.queue_seconds) == ("cpu", 10.0, 5.0)
        assert outcome.real_time_factor == pytest.approx(outcome.processing_seconds / 10, abs=1e-3)

    def test_the_outcome_is_recorded_after_the_last_artifact_and_before_the_webhook(self, world: World) -> None:
        job = submitted(world)
        before = len(world.services.faults.calls)
        try_once(world, job)
        calls = world.services.faults.calls[before:]
        last_upload = max(at for at, call in enumerate(calls) if call.startswith("objects.upload"))
        outcome = max(at for at, call in enumerate(calls) if call.startswith("objects.write jobs/"))
        webhook = calls.index("queues.enqueue webhooks")
        closed = calls.index(f"objects.delete open/{job.job_id}")
        assert last_upload < outcome < webhook < closed

    def test_the_webhook_is_queued_and_the_marker_goes(self, world: World) -> None:
        job = submitted(world)
        try_once(world, job)
        (task,) = world.services.queues.on("webhooks")
        assert json.loads(task.body) == {"job_id": job.job_id, "submission": 1, "number": 1}
        assert task.url == "https://deliver.test/"
        assert world.services.objects.names("state", "open/") == []

    def test_a_job_without_a_webhook_queues_none(self, world: World) -> None:
        job = submitted(world, request(world.services, webhook_url=None))
        assert try_once(world, job)[1].state is State.SUCCEEDED
        assert webhooks(world.services) == []

    def test_the_engine_gets_the_operations_and_whether_they_were_asked_for(self, world: World) -> None:
        named = submitted(world)
        try_once(world, named)
        default = submitted(world, request(world.services, idempotency_key="other", operations=None))
        try_once(world, default)
        assert world.processor.calls == [(named.operations, True), (default.operations, False)]

    def test_a_log_line_tells_the_times(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        job = submitted(world)
        with caplog.at_level(logging.INFO):
            try_once(world, job)
        (line,) = [line for line in caplog.records if getattr(line, "event", "") == "job.succeeded"]
        assert line.queueTime == 5.0
        assert line.processingTime >= 0
        assert line.realTimeFactor is not None

    def test_warnings_of_the_engine_join_those_of_the_submission(self, world: World) -> None:
        asked = request(world.services)
        odd = asked.file.model_copy(update={"warnings": ("odd name",)})
        job = submitted(world, replace(asked, file=odd))
        _, done = try_once(world, job, succeed(warnings=("no audio",)))
        assert done.warnings == ("odd name", "no audio")

    def test_the_pinned_generation_of_the_source_is_what_is_read(self, world: World) -> None:
        services = world.services
        old = services.objects.put("uploads", "a.mp4", b"the media")
        job = submitted(world, request(services, source=Source(uri="gs://uploads/a.mp4", generation=old)))
        services.objects.put("uploads", "a.mp4", b"another film")
        _, done = try_once(world, job)
        assert done.failure is not None
        assert (done.state, done.failure.code) == (State.FAILED, "source_missing")


class TestFaults:
    @pytest.mark.parametrize(
        "error",
        [ProcessingFailed("moov atom not found"), UnsupportedMedia("a PDF"), PermanentError("no", code="odd")],
    )
    def test_what_cannot_succeed_fails_at_once_and_is_never_tried_again(
        self, world: World, error: PermanentError
    ) -> None:
        job = submitted(world)
        verdict, failed = try_once(world, job, fail(error))
        assert (verdict, failed.state) == (Verdict.OVER, State.FAILED)
        assert failed.failure == Failure(code=error.reason_code, message=error.message)
        assert webhooks(world.services) == [f"{job.job_id}-1-1"]
        assert world.services.objects.names("state", "open/") == []
        assert world.services.objects.names("results") == []
        assert try_once(world, job, succeed()) == (Verdict.OVER, failed)

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (Unavailable("storage is down"), "unavailable"),
            (ResourceExhausted("CUDA out of memory"), "resource_exhausted"),
            (MemoryError(), "out_of_memory"),
            (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
            (OSError(errno.EIO, "Input/output error"), "io_error"),
            (ZeroDivisionError("a bug"), "internal_error"),
        ],
    )
    def test_what_may_pass_is_tried_again(self, world: World, error: Exception, code: str) -> None:
        job = submitted(world)
        verdict, queued = try_once(world, job, fail(error), succeed())
        assert queued.failure is not None
        assert (verdict, queued.state, queued.failure.code) == (Verdict.AGAIN, State.QUEUED, code)
        assert (queued.attempt, queued.attempts_counted) == (1, 1)
        assert webhooks(world.services) == []
        assert world.services.objects.names("state", "open/") == [f"open/{job.job_id}"]
        verdict, done = try_once(world, job)
        assert (verdict, done.state, done.attempt, done.failure) == (Verdict.OVER, State.SUCCEEDED, 2, None)

    def test_a_bug_tells_its_kind_to_the_caller_and_its_text_to_the_log_alone(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = submitted(world)
        _, queued = try_once(world, job, fail(ZeroDivisionError("in line 42")))
        assert queued.failure == Failure(code="internal_error", message="a bug: ZeroDivisionError")
        assert "in line 42" in caplog.text

    def test_the_fifth_failure_is_the_last(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        job = submitted(world)
        for number in range(1, 5):
            verdict, queued = try_once(world, job, fail(Unavailable("storage is down")))
            assert (verdict, queued.state, queued.attempts_counted) == (Verdict.AGAIN, State.QUEUED, number)
        verdict, dead = try_once(world, job)
        assert (verdict, dead.state, dead.attempts_counted) == (Verdict.OVER, State.DEAD_LETTERED, 5)
        (letter,) = world.services.topics.on("dead-letters")
        assert json.loads(letter.data) == {
            "job_id": job.job_id,
            "submission": 1,
            "destination": "gpu-tasks",
            "source": job.source.uri,
            "attempts": 5,
            "code": "unavailable",
            "reason": "gave up after 5 attempts; the last: storage is down",
        }
        assert letter.attributes == {"jobId": job.job_id, "submission": "1"}
        assert webhooks(world.services) == [f"{job.job_id}-1-1"]
        assert world.services.objects.names("state", "open/") == []
        assert try_once(world, job) == (Verdict.OVER, dead)

    def test_five_crashes_are_the_last_too_and_the_one_who_would_take_the_sixth_says_so(self, world: World) -> None:
        job = submitted(world)
        for _ in range(5):
            world.services.store.update(job.job_id, lambda seen: seen.job.leased("a worker that dies", NOON))
            world.services.clock.advance(60)
        verdict, dead = try_once(world, job)
        assert dead.failure is not None
        assert (verdict, dead.state, dead.failure.code) == (Verdict.OVER, State.DEAD_LETTERED, "worker_lost")
        assert len(world.services.topics.on("dead-letters")) == 1
        assert world.processor.calls == []

    def test_a_source_that_is_gone_fails_for_good(self, world: World) -> None:
        job = submitted(world)
        world.services.objects.delete("uploads", job.source.uri.removeprefix("gs://uploads/"))
        _, failed = try_once(world, job)
        assert failed.failure is not None
        assert (failed.state, failed.failure.code) == (State.FAILED, SourceMissing.code)

    @pytest.mark.parametrize(
        ("size", "settings", "state", "code"),
        [
            (2**20, {"max_source_bytes": 2**10}, State.FAILED, "too_large"),
            (2**62, {"max_source_bytes": 2**63}, State.QUEUED, "resource_exhausted"),
        ],
    )
    def test_a_source_that_does_not_fit_is_refused_before_it_is_fetched(
        self, size: int, settings: dict[str, int], state: State, code: str
    ) -> None:
        world = World(fake_services(**NO_BEATS, **settings))
        facts = FileFacts(kind="video", file_type="mp4", content_type="video/mp4", size=size, found="an MP4 video")
        job = submitted(world, request(world.services, file=facts))
        _, after_it = try_once(world, job)
        assert after_it.failure is not None
        assert (after_it.state, after_it.failure.code) == (state, code)
        assert not [call for call in world.services.faults.calls if call.startswith("objects.download")]

    def test_nothing_is_left_on_the_workers_disk(self, world: World) -> None:
        folders: list[Path] = []

        def step(source: Path, folder: Path, report: Report) -> Result:
            folders.append(source.parent)
            raise ZeroDivisionError

        job = submitted(world)
        try_once(world, job, step)
        assert not folders[0].exists()

    def test_a_conclusion_that_fails_leaves_the_message_and_the_next_delivery_finds_the_job_over(
        self, world: World
    ) -> None:
        job = submitted(world)
        world.services.faults.fail_next("queues.enqueue webhooks", Unavailable("Cloud Tasks is down"))
        verdict, done = try_once(world, job)
        assert (verdict, done.state, webhooks(world.services)) == (Verdict.AGAIN, State.SUCCEEDED, [])
        assert world.services.objects.names("state", "open/") == [f"open/{job.job_id}"]
        world.settle()
        assert [task.name for queue, task in world.services.queues.queued if queue == "webhooks"] == [
            f"{job.job_id}-1-1"
        ]


class TestOwnership:
    def test_a_job_under_a_live_lease_is_held(self, world: World) -> None:
        job = submitted(world)
        world.services.store.update(job.job_id, lambda seen: seen.job.leased("another", NOON))
        verdict, running = try_once(world, job)
        assert (verdict, running.owner) == (Verdict.HELD, "another")

    @pytest.mark.parametrize("ending", [succeed(), fail(ProcessingFailed("no")), fail(Unavailable("down"))])
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
        assert verdict is Verdict.AGAIN
        assert webhooks(services) == []
        assert services.topics.on("dead-letters") == []
        assert services.objects.names("state", "open/") == [f"open/{job.job_id}"]

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
            assert working.result(10) is Verdict.AGAIN
        back = beating.job(job.job_id)
        assert (back.state, back.attempt, back.attempts_counted, back.failure) == (State.QUEUED, 1, 0, None)
        assert webhooks(beating.services) == []

    def test_hand_backs_never_use_a_job_up(self, world: World) -> None:
        job, worker = submitted(world), world.worker()
        worker.stop.set()
        for number in range(1, 8):
            verdict, back = try_once(world, job, worker=worker)
            assert (verdict, back.attempt, back.attempts_counted) == (Verdict.AGAIN, number, 0)
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
        ("media_seconds", "left", "state", "code"),
        [
            (720, 400, State.SUCCEEDED, None),
            (720, 300, State.QUEUED, None),
            (1619, 899, State.SUCCEEDED, None),
            (1621, 899, State.FAILED, "too_long"),
            (1e6, None, State.SUCCEEDED, None),
            (None, 1, State.SUCCEEDED, None),
        ],
    )
    def test_a_file_that_does_not_fit_goes_back_and_one_that_fits_nowhere_fails(
        self, world: World, media_seconds: float | None, left: float | None, state: State, code: str | None
    ) -> None:
        world.processor.seconds = media_seconds
        job = submitted(world)
        ends_at = None if left is None else time.monotonic() + left
        _, after_it = try_once(world, job, worker=world.worker(ends_at=ends_at))
        assert after_it.state is state
        assert (after_it.failure.code if after_it.failure else None) == code
        assert after_it.attempts_counted == (0 if state is State.QUEUED else 1)

    @pytest.fixture
    def with_gke(self) -> World:
        return World(fake_services(**NO_BEATS, enable_gke_route=True), FakeProcessor(seconds=1e6))

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
