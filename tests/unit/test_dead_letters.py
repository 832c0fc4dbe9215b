from __future__ import annotations

import base64
import json
import logging

import pytest

from shared.conclude import conclude
from shared.dead_letters import give_up, give_up_unreadable, mark
from shared.errors import Unavailable
from shared.job import Failure, Job, State
from shared.request_body import MAX_BODY_BYTES
from shared.store import Marker
from tests.fakes.faults import Crash
from tests.fakes.services import FakeServices
from tests.unit.samples import NO_LUCK, NOON, job, job_in

WHY = Failure(code="undeliverable", message="20 deliveries")


def put(services: FakeServices, record: Job) -> Job:
    services.store.mark_open(Marker.of(record))
    services.store.create(record)
    services.clock.advance(3600)
    return record


def record_of(services: FakeServices, record: Job) -> Job:
    seen = services.store.get(record.job_id)
    assert seen is not None
    return seen.job


def webhooks(services: FakeServices) -> list[str]:
    return [task.name for task in services.queues.on("webhooks")]


@pytest.mark.parametrize("record", [job(), job_in(State.RUNNING)], ids=["queued", "running, its lease expired"])
def test_giving_up_publishes_the_letter_then_marks_the_record_then_concludes(
    services: FakeServices, record: Job
) -> None:
    put(services, record)
    before = len(services.faults.calls)
    give_up(record, WHY, services)
    assert [call.split("/")[0] for call in services.faults.calls[before:]] == [
        "topics.publish dead-letters",
        "objects.read jobs",
        "objects.write jobs",
        "queues.enqueue webhooks",
        "objects.delete open",
    ]
    dead = record_of(services, record)
    assert (dead.state, dead.failure, dead.owner, dead.finished_at) == (State.DEAD_LETTERED, WHY, None, services.now())
    assert webhooks(services) == [f"{record.job_id}-1-1"]


def test_a_crash_after_the_letter_is_made_good_by_giving_up_again(services: FakeServices) -> None:
    record = put(services, job())
    services.faults.fail_next("objects.write jobs/", Crash())
    with pytest.raises(Crash):
        give_up(record, WHY, services)
    services.faults.revive()
    assert record_of(services, record).state is State.QUEUED
    give_up(record, WHY, services)
    assert record_of(services, record).state is State.DEAD_LETTERED
    assert len(services.topics.on("dead-letters")) == 2


def test_a_job_is_not_marked_before_its_letter_is_safe(services: FakeServices) -> None:
    record = put(services, job())
    services.faults.fail_next("topics.publish", Unavailable("Pub/Sub is down"))
    with pytest.raises(Unavailable):
        give_up(record, WHY, services)
    assert record_of(services, record) == record


def test_marking_twice_marks_once(services: FakeServices, caplog: pytest.LogCaptureFixture) -> None:
    record = put(services, job())
    with caplog.at_level(logging.ERROR):
        first = mark(record.job_id, 1, WHY, services)
        services.clock.advance(60)
        assert mark(record.job_id, 1, NO_LUCK, services) == first
    assert [line.event for line in caplog.records if line.levelno >= logging.ERROR] == ["job.dead_lettered"]
    assert webhooks(services) == [f"{record.job_id}-1-1"]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_a_job_that_ended_meanwhile_stays_as_it_is_and_is_concluded(services: FakeServices, state: State) -> None:
    record = put(services, job_in(state))
    assert mark(record.job_id, 1, WHY, services) == record
    assert services.objects.names("state", "open/") == []


def test_a_redriven_job_is_not_marked_for_its_older_submission(services: FakeServices) -> None:
    record = put(services, job(submission=2))
    assert mark(record.job_id, 1, WHY, services) == record
    assert services.objects.names("state", "open/") == [f"open/shop/{record.job_id}-2"]


def test_a_job_that_somebody_works_on_is_not_marked_before_its_lease_ends(services: FakeServices) -> None:
    """Pub/Sub's backstop may give a message up in the middle of the work."""
    record = put(services, job())
    services.store.update(record.job_id, lambda seen: seen.job.leased("worker", NOON))
    services.clock.advance(services.settings.lease_seconds - 1)
    left = mark(record.job_id, 1, WHY, services)
    assert left is not None
    assert left.state is State.RUNNING
    services.clock.advance(1)
    marked = mark(record.job_id, 1, WHY, services)
    assert marked is not None
    assert (marked.state, marked.failure) == (State.DEAD_LETTERED, WHY)


def test_marking_a_job_without_a_record_is_nothing(services: FakeServices) -> None:
    assert mark("0" * 32, 1, WHY, services) is None


def test_a_message_that_names_no_job_is_whole_in_its_letter(services: FakeServices) -> None:
    give_up_unreadable(b"\xff{not json", "17", "the message names no job", services)
    (letter,) = services.topics.on("dead-letters")
    assert json.loads(letter.data) == {
        "message_id": "17",
        "code": "unreadable",
        "reason": "the message names no job",
        "size": 10,
        "data": "\N{REPLACEMENT CHARACTER}{not json",
    }


def test_the_letter_of_a_message_of_any_size_fits_the_push_that_brings_it(services: FakeServices) -> None:
    """Of the worst there is, which JSON escapes to six bytes each; Pub/Sub takes messages of 10 MB."""
    give_up_unreadable(b"\xff" * 10_000_000, "17", "the message names no job", services)
    (letter,) = services.topics.on("dead-letters")
    assert json.loads(letter.data)["size"] == 10_000_000
    assert len(base64.b64encode(letter.data)) + 2000 < MAX_BODY_BYTES


class TestConclude:
    def test_the_webhook_is_queued_before_the_marker_goes(self, services: FakeServices) -> None:
        record = put(services, job_in(State.FAILED))
        services.faults.fail_next("queues.enqueue", Unavailable("Cloud Tasks is down"))
        with pytest.raises(Unavailable):
            conclude(record, services)
        assert services.objects.names("state", "open/") == [f"open/shop/{record.job_id}"]
        conclude(record, services)
        assert services.objects.names("state", "open/") == []

    def test_concluding_twice_queues_one_webhook_even_after_it_was_sent(self, services: FakeServices) -> None:
        record = put(services, job_in(State.FAILED))
        conclude(record, services)
        (task,) = services.queues.on("webhooks")
        services.queues.done("webhooks", task)
        conclude(record, services)
        assert services.queues.on("webhooks") == []

    def test_each_submission_has_its_own_webhook(self, services: FakeServices) -> None:
        record = put(services, job_in(State.FAILED))
        conclude(record, services)
        conclude(record.redriven(NOON).cancelled(NOON), services)
        assert webhooks(services) == [f"{record.job_id}-1-1", f"{record.job_id}-2-1"]

    def test_a_job_redriven_meanwhile_keeps_its_marker(self, services: FakeServices) -> None:
        record = put(services, job_in(State.FAILED))
        services.store.mark_open(Marker(record.job_id, record.caller, 2))
        services.store.update(record.job_id, lambda seen: seen.job.redriven(NOON))
        conclude(record, services)
        assert services.objects.names("state", "open/") == [f"open/shop/{record.job_id}-2"]
