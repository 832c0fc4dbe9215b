"""Every way a record may change is one line of the log; the lines of one job are its story."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.job import TRANSITIONS, Failure, Job, Progress, State, WebhookTry
from shared.journal import is_change
from tests.fakes.services import FakeServices, fake_services
from tests.unit.samples import NO_LUCK, NOON, OUTCOME, job

LATER = NOON + timedelta(seconds=7)
QUEUED = job()
RUNNING = QUEUED.leased("worker/1", NOON)

#: The line of each change: from what, by what, its event and level.
LINES: dict[str, tuple[Job | None, Callable[[Job], Job], str, int]] = {
    "submitted": (None, lambda job: QUEUED, "job.submitted", logging.INFO),
    "refused": (None, lambda job: QUEUED.model_copy(update={"state": State.FAILED}), "job.submitted", logging.INFO),
    "leased": (QUEUED, lambda job: job.leased("worker/1", LATER), "job.started", logging.INFO),
    "taken over": (RUNNING, lambda job: job.leased("worker/2", LATER), "job.started", logging.INFO),
    "succeeded": (RUNNING, lambda job: job.succeeded(OUTCOME, (), LATER), "job.succeeded", logging.INFO),
    "failed": (RUNNING, lambda job: job.failed(NO_LUCK, LATER), "job.failed", logging.WARNING),
    "retried": (RUNNING, lambda job: job.retried(NO_LUCK, LATER), "job.attempt_failed", logging.WARNING),
    "handed back": (RUNNING, lambda job: job.handed_back(LATER), "job.handed_back", logging.INFO),
    "given up": (RUNNING, lambda job: job.dead_lettered(NO_LUCK, LATER), "job.dead_lettered", logging.ERROR),
    "given up in the queue": (
        QUEUED,
        lambda job: job.dead_lettered(NO_LUCK, LATER),
        "job.dead_lettered",
        logging.ERROR,
    ),
    "cancelled": (RUNNING, lambda job: job.cancelled(LATER), "job.cancelled", logging.INFO),
    "cancelled in the queue": (QUEUED, lambda job: job.cancelled(LATER), "job.cancelled", logging.INFO),
    "redriven after a failure": (RUNNING.failed(NO_LUCK, NOON), lambda job: job.redriven(LATER), "job.redriven", 20),
    "redriven after a letter": (
        RUNNING.dead_lettered(NO_LUCK, NOON),
        lambda job: job.redriven(LATER),
        "job.redriven",
        20,
    ),
    "redriven after a cancel": (QUEUED.cancelled(NOON), lambda job: job.redriven(LATER), "job.redriven", 20),
}

#: Changes of the record that leave the job in its state.
SILENT: dict[str, tuple[Job, Callable[[Job], Job]]] = {
    "renewed": (RUNNING, lambda job: job.renewed(Progress(stage="decode", percent=3))),
    "resent": (QUEUED, lambda job: job.resent()),
    "webhook noted": (RUNNING.failed(NO_LUCK, NOON), lambda job: job.with_webhook_try(WebhookTry(number=1, at=NOON))),
}


@pytest.fixture
def services() -> FakeServices:
    return fake_services()


def lines_of(
    before: Job | None, change: Callable[[Job], Job], services: FakeServices, caplog: pytest.LogCaptureFixture
) -> list[logging.LogRecord]:
    if before is not None:
        services.store.create(before)
    services.clock.advance(5)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        if before is None:
            services.store.create(change(QUEUED))
        else:
            services.store.update(before.job_id, lambda seen: change(seen.job) if seen.job == before else None)
    return caplog.records


@pytest.mark.parametrize("name", LINES)
def test_a_change_of_state_is_one_line(name: str, services: FakeServices, caplog: pytest.LogCaptureFixture) -> None:
    before, change, event, level = LINES[name]
    (line,) = lines_of(before, change, services, caplog)
    after = change(before or QUEUED)
    told = vars(line)
    assert (told["event"], line.levelno, told["job_id"]) == (event, level, after.job_id)
    assert (told["from"], told["to"]) == (before.state if before else None, after.state)
    assert (told["submission"], told["attempt"]) == (after.submission, after.attempt)
    assert told["stateSeconds"] == (7 if before else 0)
    assert NO_LUCK.message not in str(told)


def test_every_transition_that_a_record_allows_has_its_line() -> None:
    told = {(before.state, change(before).state) for before, change, _, _ in LINES.values() if before}
    assert told == {(state, end) for state, ends in TRANSITIONS.items() for end in ends}


@pytest.mark.parametrize("name", SILENT)
def test_a_change_that_is_none_of_the_state_is_silent(
    name: str, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    before, change = SILENT[name]
    assert not is_change(before, change(before))
    assert lines_of(before, change, services, caplog) == []


@pytest.mark.parametrize("name", LINES)
def test_a_write_whose_answer_was_lost_is_told_once(
    name: str, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    before, change, event, _ = LINES[name]
    if before is not None:
        services.store.create(before)
        services.clock.advance(5)
    services.objects.lose_next_answer("jobs/")
    with caplog.at_level(logging.INFO):
        caplog.clear()
        if before is None:
            services.store.create(change(QUEUED))
        else:
            services.store.update(before.job_id, lambda seen: change(seen.job) if seen.job == before else None)
    assert [vars(line)["event"] for line in caplog.records] == [event]


def test_a_change_that_lost_its_race_is_not_told(services: FakeServices, caplog: pytest.LogCaptureFixture) -> None:
    services.store.create(QUEUED)
    services.clock.advance(5)

    def cancel(seen: object) -> Job | None:
        services.objects.put("state", f"jobs/{QUEUED.job_id}.json", QUEUED.cancelled(NOON).model_dump_json().encode())
        asked.append(1)
        return QUEUED.leased("worker/1", LATER) if len(asked) == 1 else None

    asked: list[int] = []
    with caplog.at_level(logging.INFO):
        caplog.clear()
        services.store.update(QUEUED.job_id, cancel)
    assert (len(asked), caplog.records) == (2, [])


def test_a_line_tells_what_kind_of_failure_it_was(services: FakeServices, caplog: pytest.LogCaptureFixture) -> None:
    why = Failure(code="decoder_crashed", message="secret-file.mp4 is odd")
    (line,) = lines_of(RUNNING, lambda job: job.failed(why, LATER), services, caplog)
    assert vars(line)["code"] == "decoder_crashed"
