"""The beat that keeps a lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import count

import pytest

from shared.errors import Misconfigured, Unavailable
from shared.job import Job, Progress, State
from shared.lease import Beat, LeaseLost, Stopping, take
from tests.fakes.services import FakeServices, fake_services
from tests.unit.attempts import put, record_of
from tests.unit.samples import NO_LUCK, NOON, job
from tests.waiting import eventually


@pytest.fixture
def quick() -> FakeServices:
    """Beats every 20 ms."""
    return fake_services(progress_seconds=0.01, beat_seconds=0.02)


@pytest.fixture
def leased(quick: FakeServices) -> Job:
    taken = take(put(quick, job()).job_id, 1, "worker/1", quick)
    assert taken.job is not None
    quick.clock.advance(1)
    return taken.job


def extend() -> None:
    """No message to extend."""


def writes(services: FakeServices) -> int:
    return sum(write.name.startswith("jobs/") for write in services.objects.writes)


def stage_of(services: FakeServices, record: Job) -> tuple[str, float] | None:
    progress = record_of(services, record).progress
    return (progress.stage, progress.percent) if progress else None


def reports(beat: Beat, error: type[Exception]) -> Callable[[], bool]:
    """Does a report raise this by now?"""

    def raised() -> bool:
        try:
            beat.report("decode", 10)
        except error:
            return True
        return False

    return raised


class TestBeat:
    def test_a_beat_renews_the_lease_and_extends_the_message(self, quick: FakeServices, leased: Job) -> None:
        extensions: list[float] = []
        before = writes(quick)
        with Beat(leased, quick, extend=lambda: extensions.append(0)):
            eventually(lambda: len(extensions) >= 3 and writes(quick) >= before + 3)
        seen = quick.store.get(leased.job_id)
        assert seen is not None
        assert seen.job == leased
        assert seen.has_live_lease(quick.settings.lease_seconds)

    def test_progress_is_merged_into_few_writes_and_the_last_one_is_written(self, leased: Job) -> None:
        slow = fake_services(progress_seconds=0.05, beat_seconds=20)
        put(slow, job())
        taken = take(leased.job_id, 1, "worker/1", slow).job
        assert taken is not None
        before, began = writes(slow), time.monotonic()
        with Beat(taken, slow, extend=extend) as beat:
            for percent in count(1):
                beat.report("decode", min(percent, 4_999) / 50)
                if time.monotonic() - began > 0.2 and writes(slow) > before:
                    break
            beat.report("upload", 95)
            eventually(lambda: stage_of(slow, taken) == ("upload", 95.0))
            elapsed = time.monotonic() - began
        assert 2 <= writes(slow) - before <= elapsed / 0.05

    def test_progress_carries_an_estimate_of_the_time_left(self, quick: FakeServices, leased: Job) -> None:
        with Beat(leased, quick, extend=extend) as beat:
            beat.report("fetch", 0.5)
            eventually(lambda: record_of(quick, leased).progress == Progress(stage="fetch", percent=0.5))
            beat.report("check", 5)
            beat.report("decode", 99)
            eventually(lambda: stage_of(quick, leased) == ("decode", 99.0))
        progress = record_of(quick, leased).progress
        assert progress is not None
        assert progress.eta_seconds is not None
        assert 0 <= progress.eta_seconds < 1

    def test_the_estimate_goes_by_the_pace_of_the_work_and_not_by_that_of_the_fetch(
        self, quick: FakeServices, leased: Job
    ) -> None:
        with Beat(leased, quick, extend=extend) as beat:
            beat.report("fetch", 0)
            began = time.monotonic()
            eventually(lambda: time.monotonic() - began > 0.5, within_s=5)  # 0.5 s for 5 % would be 9.5 s for the rest
            beat.report("fetch", 5)
            working_since = time.monotonic()
            beat.report("check", 5)
            beat.report("decode", 52.5)
            eventually(lambda: stage_of(quick, leased) == ("decode", 52.5))
            worked = time.monotonic() - working_since
        progress = record_of(quick, leased).progress
        assert progress is not None
        assert progress.eta_seconds is not None
        assert progress.eta_seconds <= worked + 0.06  # it is rounded to tenths

    def test_the_estimate_begins_with_the_work_where_the_fetch_does_not_know_how_far_it_is(
        self, quick: FakeServices, leased: Job
    ) -> None:
        with Beat(leased, quick, extend=extend) as beat:
            beat.report("fetch", 0)  # no Content-Length: the next report is the work's first
            beat.report("check", 5)
            began = time.monotonic()
            eventually(lambda: time.monotonic() - began > 0.5, within_s=5)
            beat.report("decode", 7)  # 0.5 s for 2 %
            eventually(lambda: stage_of(quick, leased) == ("decode", 7.0))
        progress = record_of(quick, leased).progress
        assert progress is not None
        assert progress.eta_seconds is not None
        assert progress.eta_seconds > 0.5 * 93 / 2 - 1

    @pytest.mark.parametrize(
        "intrude",
        [
            lambda job: job.cancelled(NOON),
            lambda job: job.leased("worker/2", NOON),
            lambda job: job.retried(NO_LUCK, NOON),
            lambda job: job.cancelled(NOON).redriven(NOON).leased("worker/1", NOON),
        ],
        ids=["cancelled", "taken over", "back in the queue", "redriven"],
    )
    def test_work_whose_lease_is_gone_is_told_so_at_its_next_report(
        self, quick: FakeServices, leased: Job, intrude: Callable[[Job], Job]
    ) -> None:
        with Beat(leased, quick, extend=extend) as beat:
            beat.report("decode", 10)
            quick.store.update(leased.job_id, lambda seen: intrude(seen.job))
            eventually(reports(beat, LeaseLost))
        after = record_of(quick, leased)
        assert after.model_copy(update={"progress": None}) == intrude(leased).model_copy(update={"progress": None})

    def test_a_worker_told_to_stop_stops_unless_the_work_is_about_to_end(
        self, quick: FakeServices, leased: Job
    ) -> None:
        stop = threading.Event()
        with Beat(leased, quick, extend=extend, stop=stop) as beat:
            beat.report("check", 5)
            beat.report("upload", 99.9)
            stop.set()
            beat.report("upload", 99.95)
            with pytest.raises(Stopping):
                beat.report("fetch", 0)

    def test_a_worker_told_to_stop_does_not_wait_for_ever_for_an_end_that_was_near(
        self, quick: FakeServices, leased: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An upload says once that it is about to end."""
        monkeypatch.setattr("shared.lease._STOP_PATIENCE_SECONDS", 0.2)
        stop = threading.Event()
        with Beat(leased, quick, extend=extend, stop=stop) as beat:
            beat.report("check", 5)
            beat.report("upload", 99.9)
            stop.set()
            eventually(lambda: record_of(quick, leased).state is State.QUEUED)

    def test_work_that_reports_nothing_when_told_to_stop_is_handed_back_by_the_beat(
        self, quick: FakeServices, leased: Job
    ) -> None:
        stop = threading.Event()
        with Beat(leased, quick, extend=extend, stop=stop) as beat:
            stop.set()
            eventually(lambda: record_of(quick, leased).state is State.QUEUED)
            back = record_of(quick, leased)
            assert (back.attempts_counted, back.owner) == (leased.attempts_counted - 1, None)
            with pytest.raises(Stopping):
                beat.report("transcribe", 10)

    def test_a_beat_that_dies_takes_its_lease_for_lost(
        self, quick: FakeServices, leased: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(threading, "excepthook", lambda _: None)

        def broken() -> None:
            raise ZeroDivisionError

        with Beat(leased, quick, extend=broken) as beat:
            eventually(reports(beat, LeaseLost))

    @pytest.mark.parametrize("error", [Unavailable("storage is down"), Misconfigured("not allowed")])
    def test_a_beat_that_failed_is_tried_again(
        self, quick: FakeServices, leased: Job, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        quick.faults.fail_next("objects.write jobs/", error, times=2)
        before = writes(quick)
        with caplog.at_level(logging.WARNING), Beat(leased, quick, extend=extend) as beat:
            eventually(lambda: writes(quick) >= before + 2)
            beat.report("decode", 50)
        assert [line.event for line in caplog.records] == ["lease.beat_failed"] * 2

    def test_the_lease_is_renewed_while_pub_sub_is_down(self, quick: FakeServices, leased: Job) -> None:
        def down() -> None:
            raise Unavailable("Pub/Sub is down")

        before = writes(quick)
        with Beat(leased, quick, extend=down) as beat:
            eventually(lambda: writes(quick) >= before + 3)
            beat.report("decode", 50)

    def test_the_message_is_extended_while_storage_is_down(self, quick: FakeServices, leased: Job) -> None:
        quick.faults.fail_next("objects.", Unavailable("storage is down"), times=10**6)
        extensions: list[float] = []
        with Beat(leased, quick, extend=lambda: extensions.append(0)) as beat:
            eventually(lambda: len(extensions) >= 3)
            beat.report("decode", 50)

    def test_a_renewal_whose_answer_was_lost_does_not_cost_the_lease(self, quick: FakeServices, leased: Job) -> None:
        quick.objects.lose_next_answer("jobs/")
        before = writes(quick)
        with Beat(leased, quick, extend=extend) as beat:
            eventually(lambda: writes(quick) >= before + 3)
            beat.report("decode", 50)

    def test_nothing_is_written_once_the_beat_has_ended(self, quick: FakeServices, leased: Job) -> None:
        with Beat(leased, quick, extend=extend) as beat:
            eventually(lambda: writes(quick) > 3)
        before = writes(quick)
        beat.report("upload", 99)
        assert not [thread for thread in threading.enumerate() if thread.name == f"beat-{leased.job_id[:8]}"]
        assert writes(quick) == before
