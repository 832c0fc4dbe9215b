"""The safety net: each thing a crash can leave behind, and what the sweep makes of it."""

from __future__ import annotations

import logging

import pytest

from shared.errors import Unavailable
from shared.job import State
from shared.store import Marker
from shared.sweep import sweep
from tests.fakes.services import FakeServices, fake_services
from tests.unit.samples import job, job_in
from tests.unit.swept import left, markers


def webhooks(services: FakeServices) -> list[str]:
    return [task.name for task in services.queues.on("webhooks")]


def test_nothing_open_is_nothing_to_do(services: FakeServices) -> None:
    assert sweep(services) == {"slots": 0}


@pytest.mark.parametrize("state", [state for state in State if state.is_terminal])
def test_a_terminal_job_is_concluded(services: FakeServices, state: State) -> None:
    ended = left(services, job_in(state))
    assert sweep(services) == {"concluded": 1, "slots": 0}
    assert webhooks(services) == [f"{ended.job_id}-1-1"]
    assert markers(services) == []


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
