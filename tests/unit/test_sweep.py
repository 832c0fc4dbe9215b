"""The safety net: each thing a crash can leave behind, and what the sweep makes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.bell import ring
from shared.errors import Unavailable
from shared.events import JobMessage, job_message
from shared.job import Job, State
from shared.redrive import redrive
from shared.resources import declared
from shared.routing import Destination
from shared.settings import Settings
from shared.store import YOUNG_SECONDS, JobStore, Marker, index_key
from shared.submit import submit
from shared.sweep import sweep
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import request
from tests.unit.samples import NOON, job, job_in


def left(services: FakeServices, record: Job) -> Job:
    """A record and its marker, left alone until the grace time is over."""
    services.store.mark_open(Marker.of(record))
    services.store.create(record)
    services.clock.advance(services.settings.grace_seconds)
    return record


def markers(services: FakeServices) -> list[str]:
    return services.objects.names("state", "open/")


def record_of(services: FakeServices, record: Job) -> Job:
    seen = services.store.get(record.job_id)
    assert seen is not None
    return seen.job


def webhooks(services: FakeServices) -> list[str]:
    return [task.name for task in services.queues.on("webhooks")]


def test_nothing_open_is_nothing_to_do(services: FakeServices) -> None:
    assert sweep(services) == {"slots": 0}


def test_a_marker_whose_record_was_never_written_goes_once_no_request_can_write_it_any_more(
    services: FakeServices,
) -> None:
    services.store.mark_open(Marker(job().job_id, "shop"))
    services.clock.advance(services.settings.abandoned_seconds - 1)
    assert sweep(services) == {"nothing": 1, "slots": 0}
    services.clock.advance(1)
    assert sweep(services) == {"marker": 1, "slots": 0}
    assert markers(services) == []


def test_a_marker_of_a_redrive_that_is_not_written_yet_waits_for_it(services: FakeServices) -> None:
    """A redriver may be slow, and die right after it has written."""
    failed = left(services, job_in(State.FAILED))
    services.store.mark_open(Marker(failed.job_id, failed.caller, 2))
    assert sweep(services) == {"concluded": 1, "nothing": 1, "slots": 0}
    assert markers(services) == [f"open/{failed.caller}/{failed.job_id}-2"]
    services.clock.advance(services.settings.abandoned_seconds)
    assert sweep(services) == {"marker": 1, "slots": 0}
    assert markers(services) == []


def test_a_marker_is_not_given_up_before_any_request_that_found_it_young_has_ended() -> None:
    longest = max(declared().functions[name].timeout for name in ("ingest", "on_upload"))
    assert YOUNG_SECONDS + longest < Settings.model_fields["abandoned_seconds"].default


@pytest.fixture
def half_redriven(services: FakeServices) -> Job:
    """A job that is lost, and a redrive's marker: the redrive died before it wrote the record."""
    lost = job_in(State.DEAD_LETTERED)
    services.store.create(lost)
    services.store.mark_open(Marker(lost.job_id, lost.caller, 2))
    services.clock.advance(services.settings.abandoned_seconds)
    return lost


@pytest.mark.parametrize("moment", ["get", "marked", "mark_closed"])
def test_a_redrive_that_comes_while_the_marker_of_a_dead_one_is_looked_at_has_a_marker(
    services: FakeServices, half_redriven: Job, moment: str
) -> None:
    def comes(*seen: Any, **more: Any) -> Any:
        if record_of(services, half_redriven).submission == 1:
            redrive(half_redriven.job_id, services)
        return getattr(services.store, moment)(*seen, **more)

    store = JobStore(services.objects, "state", wait=services.clock.advance)
    setattr(store, moment, comes)
    sweep(replace(services, store=store))
    assert record_of(services, half_redriven).submission == 2
    assert markers(services) == [f"open/shop/{half_redriven.job_id}-2"]


def test_a_redrive_that_has_found_a_dead_ones_marker_keeps_it(services: FakeServices, half_redriven: Job) -> None:
    """The sweep comes by between its marker and its record."""

    class Store(JobStore):
        def update(self, *seen: Any, **more: Any) -> Any:
            assert sweep(services) == {"nothing": 1, "slots": 0}
            return super().update(*seen, **more)

    redrive(half_redriven.job_id, replace(services, store=Store(services.objects, "state")))
    assert record_of(services, half_redriven).submission == 2
    assert markers(services) == [f"open/shop/{half_redriven.job_id}-2"]


def test_a_submission_that_has_found_a_dead_ones_marker_keeps_it(services: FakeServices) -> None:
    services.store.mark_open(Marker.of(job("shop\0key-1")))
    services.clock.advance(services.settings.abandoned_seconds)

    class Store(JobStore):
        def create(self, record: Job) -> bool:
            assert sweep(services) == {"nothing": 1, "slots": 0}
            return super().create(record)

    submitted = submit(request(services), replace(services, store=Store(services.objects, "state")))
    assert markers(services) == [f"open/shop/{submitted.job.job_id}"]


@pytest.mark.parametrize(("state", "kept"), [(State.QUEUED, ["-2"]), (State.FAILED, [])])
def test_the_marker_of_an_older_submission_goes_and_never_a_waiting_jobs_last(
    services: FakeServices, state: State, kept: list[str]
) -> None:
    """A job that the revision before has redriven has none but that one."""
    redriven = left(services, job_in(state))
    services.store.update(redriven.job_id, lambda seen: seen.job.model_copy(update={"submission": 2}))
    services.clock.advance(services.settings.grace_seconds)
    assert sweep(services) == {"marker": 1, "slots": 0}
    assert markers(services) == [f"open/{redriven.caller}/{redriven.job_id}{end}" for end in kept]


@pytest.mark.parametrize("state", [state for state in State if state.is_terminal])
def test_a_terminal_job_is_concluded(services: FakeServices, state: State) -> None:
    ended = left(services, job_in(state))
    assert sweep(services) == {"concluded": 1, "slots": 0}
    assert webhooks(services) == [f"{ended.job_id}-1-1"]
    assert markers(services) == []


@pytest.mark.parametrize(("destination", "topic"), [(Destination.GPU, "gpu-tasks"), (Destination.GKE, "gpu-tasks-gke")])
def test_a_job_whose_message_may_be_lost_is_published_again(
    services: FakeServices, destination: Destination, topic: str
) -> None:
    queued = left(services, job(destination=destination))
    assert sweep(services) == {"sent": 1, "slots": 0}
    (message,) = services.topics.on(topic)
    assert job_message(message.data) == JobMessage(job_id=queued.job_id, submission=1)
    assert record_of(services, queued).times_resent == 1
    assert markers(services) == [f"open/shop/{queued.job_id}"]


def test_a_job_that_was_never_listed_is(services: FakeServices) -> None:
    queued = left(services, job())
    sweep(services)
    assert services.objects.names("state", "index/") == [f"index/{index_key(queued)}"]


def test_a_cpu_job_gets_a_task_under_a_new_name_each_time(services: FakeServices) -> None:
    """The first time under the first name: if that task is there, it is not doubled."""
    queued = left(services, job(destination=Destination.CPU))
    for _ in range(3):
        sweep(services)
        services.clock.advance(3600)
    name = f"{queued.job_id}-1"
    tasks = services.queues.on("cpu-tasks")
    assert [task.name for task in tasks] == [name, f"{name}-resent-0-1", f"{name}-resent-0-2"]
    assert json.loads(tasks[0].body)["job_id"] == queued.job_id


def test_a_job_that_waits_its_turn_is_published_again_ever_more_rarely(services: FakeServices) -> None:
    left(services, job())
    sent_at: list[float] = []
    for minute in range(120):
        if sweep(services)["sent"]:
            sent_at.append(minute)
        services.clock.advance(60)
    assert sent_at == [0, 4, 12, 28, 60]


def test_a_job_that_waited_long_and_then_lost_its_worker_is_sent_again_soon(services: FakeServices) -> None:
    queued = left(services, job(times_resent=6))
    services.store.update(queued.job_id, lambda seen: seen.job.leased("a worker that dies", NOON))
    services.clock.advance(services.settings.grace_seconds)
    assert sweep(services) == {"sent": 1, "slots": 0}


@pytest.mark.parametrize("age", [0, 44, 60, 119])
def test_a_young_job_is_left_alone(services: FakeServices, age: float) -> None:
    for record in (job("a"), job_in(State.RUNNING), job("b", state=State.FAILED)):
        services.store.mark_open(Marker.of(record))
        services.store.create(record)
    services.clock.advance(age)
    assert sweep(services) == {"nothing": 3, "slots": 0}


def test_a_running_job_whose_lease_lives_is_left_alone() -> None:
    services = fake_services(lease_seconds=300, ack_deadline_seconds=600)
    left(services, job_in(State.RUNNING))
    assert sweep(services) == {"nothing": 1, "slots": 0}


def test_a_job_of_a_dead_worker_is_sent_again_and_does_not_look_alive_by_it(services: FakeServices) -> None:
    lost = left(services, job_in(State.RUNNING))
    assert sweep(services) == {"sent": 1, "slots": 0}
    after = record_of(services, lost)
    assert (after.state, after.owner, after.attempts_counted) == (State.QUEUED, None, 1)
    assert after.failure is not None
    assert after.failure.code == "worker_lost"
    # The bell of the new message must start an execution, and not fall silent.
    assert ring(JobMessage(job_id=lost.job_id, submission=1), services) is False
    assert len(services.executions.started) == 1


def test_a_worker_that_was_quicker_than_the_sweep_keeps_its_lease(services: FakeServices) -> None:
    lost = left(services, job_in(State.RUNNING))

    class Quick:
        """The message is hardly out when a worker has it."""

        def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
            services.store.update(lost.job_id, lambda seen: seen.job.leased("quick", NOON))

    sweep(replace(services, topics=Quick()))
    after = record_of(services, lost)
    assert (after.state, after.owner, after.attempt, after.times_resent) == (State.RUNNING, "quick", 2, 0)


@pytest.mark.parametrize(
    ("fault", "error", "level"),
    [
        (Unavailable("Pub/Sub is down"), "unavailable", logging.WARNING),
        (ValueError("a bug"), "internal_error", logging.ERROR),
    ],
)
def test_one_job_that_cannot_be_mended_does_not_keep_the_others_waiting(
    services: FakeServices, caplog: pytest.LogCaptureFixture, fault: Exception, error: str, level: int
) -> None:
    services.slots.take("a")
    for number in range(3):
        services.store.mark_open(Marker.of(job(str(number))))
        services.store.create(job(str(number)))
    services.clock.advance(services.settings.slot_start_seconds)
    services.faults.fail_next("topics.publish", fault)
    with caplog.at_level(logging.WARNING):
        assert sweep(services) == {"failed": 1, "sent": 2, "slots": 1}
    (line,) = [line for line in caplog.records if line.event == "sweep.failed"]
    assert (line.error, line.levelno) == (error, level)
    services.clock.advance(60)
    assert sweep(services) == {"sent": 1, "nothing": 2, "slots": 0}


def test_expired_slots_are_freed(services: FakeServices) -> None:
    services.slots.take("a")
    services.clock.advance(services.settings.slot_start_seconds)
    assert sweep(services) == {"slots": 1}
    assert services.objects.names("state", "slots/") == []


def test_a_sweep_while_storage_is_down_is_told(services: FakeServices) -> None:
    services.faults.fail_next("objects.list", Unavailable("storage is down"))
    with pytest.raises(Unavailable):
        sweep(services)
