from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.bell import ring
from shared.errors import JobError, Misconfigured, Unavailable
from shared.events import JobMessage
from shared.executions import NotStarted
from shared.job import Job, State
from shared.routing import Destination
from tests.fakes.services import FakeServices
from tests.unit.samples import NOON, job, job_in


def bell(services: FakeServices, record: Job, *, submission: int = 1) -> JobMessage:
    services.store.create(record)
    return JobMessage(job_id=record.job_id, submission=submission)


def test_a_waiting_job_gets_an_execution_with_a_slot_and_the_bell_rings_on(services: FakeServices) -> None:
    assert ring(bell(services, job()), services) is False
    (execution,) = services.executions.started
    settings = services.settings
    assert (execution.job, execution.region) == (settings.gpu_job, settings.gpu_region)
    number, token = execution.environment["GPU_SLOT"], execution.environment["GPU_SLOT_TOKEN"]
    assert services.slots.held(int(number), token) is not None


@pytest.mark.parametrize("state", [state for state in State if state.is_terminal])
def test_the_bell_of_a_job_that_is_over_falls_silent(services: FakeServices, state: State) -> None:
    assert ring(bell(services, job_in(state)), services) is True
    assert services.executions.started == []


def test_the_bell_of_a_running_job_falls_silent_while_its_lease_lives(services: FakeServices) -> None:
    message = bell(services, job_in(State.RUNNING))
    assert ring(message, services) is True
    services.clock.advance(services.settings.lease_seconds)
    assert ring(message, services) is False
    assert len(services.executions.started) == 1


def test_the_bell_of_an_older_submission_or_of_no_job_falls_silent(services: FakeServices) -> None:
    assert ring(bell(services, job(submission=2)), services) is True
    assert ring(JobMessage(job_id="0" * 32, submission=1), services) is True
    assert services.executions.started == []


def test_the_bell_of_a_job_that_went_to_gke_meanwhile_falls_silent(services: FakeServices) -> None:
    """Its own message is the pods'; an execution of the GPU Job would find nothing."""
    message = bell(services, job().leased("worker", NOON).handed_back(NOON, destination=Destination.GKE))
    assert ring(message, services) is True
    assert services.executions.started == []


def test_ten_bells_at_once_start_no_more_executions_than_there_are_slots(services: FakeServices) -> None:
    messages = [bell(services, job(str(number))) for number in range(10)]
    assert not any(at_once(messages, services))
    assert len(services.executions.started) == services.settings.max_gpu_executions == 2


def test_a_waiting_job_starts_one_execution_however_often_it_rings(services: FakeServices) -> None:
    message = bell(services, job())
    assert not any(at_once([message] * 10, services))
    for _ in range(5):
        services.clock.advance(10)
        assert ring(message, services) is False
    assert len(services.executions.started) == 1


def at_once(messages: list[JobMessage], services: FakeServices) -> list[bool]:
    start = threading.Barrier(len(messages))

    def one(message: JobMessage) -> bool:
        start.wait(10)
        return ring(message, services)

    with ThreadPoolExecutor(len(messages)) as pool:
        return list(pool.map(one, messages))


@pytest.mark.parametrize("error", [NotStarted("no room"), Misconfigured("no such job")])
def test_a_slot_is_given_back_when_surely_nothing_was_started(services: FakeServices, error: JobError) -> None:
    message = bell(services, job())
    services.faults.fail_next("executions.start", error)
    with pytest.raises(type(error)):
        ring(message, services)
    assert services.objects.names("state", "slots/") == []


@pytest.mark.parametrize("happens", [True, False])
def test_a_slot_stays_taken_when_an_execution_may_have_been_started(services: FakeServices, happens: bool) -> None:
    message = bell(services, job())
    services.faults.fail_next("executions.start", Unavailable("503"), happens=happens)
    with pytest.raises(Unavailable):
        ring(message, services)
    assert services.objects.names("state", "slots/") == ["slots/gpu/0"]
    assert len(services.executions.started) == happens
    services.clock.advance(services.settings.slot_start_seconds)
    ring(message, services)
    assert services.objects.names("state", "slots/") == ["slots/gpu/0"]


def test_a_record_that_cannot_be_read_is_told(services: FakeServices) -> None:
    message = bell(services, job().leased("worker", NOON))
    services.faults.fail_next("objects.read", Unavailable("storage is down"))
    with pytest.raises(Unavailable):
        ring(message, services)
