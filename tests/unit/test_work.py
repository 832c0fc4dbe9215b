"""One attempt at one job: what it leaves when it succeeds, and when it fails."""

from __future__ import annotations

import errno
import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from shared.attempt_ends import Verdict
from shared.classify import FileFacts
from shared.errors import (
    PermanentError,
    ProcessingFailed,
    ResourceExhausted,
    SourceMissing,
    Unavailable,
    UnsupportedMedia,
)
from shared.job import Failure, Source, State
from shared.processor import Report, Result
from tests.fakes.processor import ARTIFACTS, fail, succeed
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, World, request
from tests.unit.attempts import submitted, try_once, webhooks
from tests.unit.samples import NOON


@pytest.fixture
def world() -> World:
    return World()


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
        closed = calls.index(f"objects.delete open/shop/{job.job_id}")
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
        assert world.services.objects.names("state", "open/") == [f"open/shop/{job.job_id}"]
        verdict, done = try_once(world, job)
        assert (verdict, done.state, done.attempt, done.failure) == (Verdict.OVER, State.SUCCEEDED, 2, None)

    def test_a_disk_without_room_for_a_folder_is_no_end_of_the_worker(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = submitted(world)

        def full(*args: object, **kwargs: object) -> str:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "mkdtemp", full)
            verdict, queued = try_once(world, job)
        assert queued.failure is not None
        assert (verdict, queued.state, queued.failure.code) == (Verdict.AGAIN, State.QUEUED, "disk_full")

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

    def test_a_conclusion_that_fails_is_left_to_the_sweep(self, world: World) -> None:
        job = submitted(world)
        world.services.faults.fail_next("queues.enqueue webhooks", Unavailable("Cloud Tasks is down"))
        verdict, done = try_once(world, job)
        assert (verdict, done.state, webhooks(world.services)) == (Verdict.OVER, State.SUCCEEDED, [])
        assert world.services.objects.names("state", "open/") == [f"open/shop/{job.job_id}"]
        world.settle()
        assert [task.name for queue, task in world.services.queues.queued if queue == "webhooks"] == [
            f"{job.job_id}-1-1"
        ]
