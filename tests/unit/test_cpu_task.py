from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from shared.cpu_task import run
from shared.errors import Unavailable
from shared.events import JobMessage
from shared.executions import NotStarted
from shared.job import Job, State
from shared.routing import Destination
from tests.fakes.executions import Execution
from tests.fakes.services import FakeServices
from tests.unit.samples import NO_LUCK, NOON, OUTCOME, job

Change = Callable[[Job], Job]


class Waiting:
    """Moves the clock where the task would wait, and lets things happen after so many waits."""

    def __init__(self, services: FakeServices) -> None:
        self.pauses: list[float] = []
        self.then: dict[int, Callable[[], object]] = {}
        self._clock = services.clock

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._clock.advance(seconds)
        self.then.pop(len(self.pauses), lambda: None)()


@pytest.fixture
def waiting(services: FakeServices) -> Waiting:
    return Waiting(services)


@pytest.fixture
def message(services: FakeServices) -> JobMessage:
    record = job(destination=Destination.CPU)
    services.store.create(record)
    services.clock.advance(5)
    return JobMessage(job_id=record.job_id, submission=1)


def change(services: FakeServices, message: JobMessage, *changes: Change) -> None:
    for one in changes:
        services.store.update(message.job_id, lambda seen, one=one: one(seen.job))


def taken(job: Job) -> Job:
    return job.leased("worker", NOON)


def succeeded(job: Job) -> Job:
    return job.succeeded(OUTCOME, (), NOON)


def retried(job: Job) -> Job:
    return job.retried(NO_LUCK, NOON)


def serve(services: FakeServices, message: JobMessage, waiting: Waiting, *, deadline_seconds: float = 1800) -> bool:
    return run(message, services, deadline_seconds=deadline_seconds, wait=waiting)


def works(services: FakeServices, message: JobMessage, *changes: Change) -> Callable[[Execution], None]:
    """An execution that does this to the record and ends."""

    def container(execution: Execution) -> None:
        change(services, message, *changes)
        services.executions.ended.add(execution.name)

    return container


def test_the_task_is_done_when_its_execution_has_ended_the_job(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    services.executions.on_start = lambda _: change(services, message, taken)
    waiting.then[3] = lambda: change(services, message, succeeded)
    assert serve(services, message, waiting) is True
    (execution,) = services.executions.started
    assert (execution.job, execution.region) == (services.settings.cpu_job, services.settings.region)
    assert execution.environment == {"JOB_ID": message.job_id, "SUBMISSION": "1"}
    assert len(waiting.pauses) == 3


def test_a_job_that_waits_for_another_attempt_brings_the_task_again(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    services.executions.on_start = works(services, message, taken, retried)
    assert serve(services, message, waiting) is False
    assert len(services.executions.started) == 1


def test_an_execution_that_died_brings_the_task_again_once_its_lease_has_expired(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    services.executions.on_start = works(services, message, taken)
    assert serve(services, message, waiting) is False
    assert services.settings.lease_seconds <= sum(waiting.pauses) < services.settings.lease_seconds + 5


def test_an_execution_that_died_before_it_took_the_lease_brings_the_task_again_at_once(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    services.executions.on_start = works(services, message)
    assert serve(services, message, waiting) is False
    assert len(waiting.pauses) == 1


def test_a_task_delivered_again_waits_for_the_execution_that_is_at_it(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    change(services, message, taken)
    waiting.then[2] = lambda: change(services, message, succeeded)
    assert serve(services, message, waiting) is True
    assert services.executions.started == []


def test_a_task_delivered_again_starts_another_execution_when_the_lease_expires(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    change(services, message, taken)
    services.executions.on_start = works(services, message, taken, succeeded)
    assert serve(services, message, waiting) is True
    assert len(services.executions.started) == 1
    assert sum(waiting.pauses) >= services.settings.lease_seconds


@pytest.mark.parametrize(
    "ending", [(taken, succeeded), (lambda job: job.cancelled(NOON), lambda job: job.redriven(NOON))]
)
def test_a_task_for_a_job_that_is_over_or_redriven_is_done(
    services: FakeServices, message: JobMessage, waiting: Waiting, ending: tuple[Change, ...]
) -> None:
    change(services, message, *ending)
    assert serve(services, message, waiting) is True
    assert (services.executions.started, waiting.pauses) == ([], [])


def test_a_task_without_a_record_is_done(services: FakeServices, waiting: Waiting) -> None:
    assert serve(services, JobMessage(job_id="0" * 32, submission=1), waiting) is True


def test_a_job_whose_attempts_are_used_up_is_given_up_instead_of_started(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    for _ in range(5):
        change(services, message, taken, retried)
    assert serve(services, message, waiting) is True
    assert services.executions.started == []
    seen = services.store.get(message.job_id)
    assert seen is not None
    assert seen.job.state is State.DEAD_LETTERED
    assert len(services.topics.on("dead-letters")) == 1


def test_the_answer_comes_before_the_tasks_own_deadline(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    """30 s before; here none are left, so that the first look is the last."""
    assert serve(services, message, waiting, deadline_seconds=30) is False
    assert len(services.executions.started) == 1
    change(services, message, taken)
    assert serve(services, message, waiting, deadline_seconds=30) is False
    assert len(services.executions.started) == 1


def test_polls_begin_quickly_and_slow_down(services: FakeServices, message: JobMessage, waiting: Waiting) -> None:
    waiting.then[30] = lambda: change(services, message, lambda job: job.cancelled(NOON))
    assert serve(services, message, waiting) is True
    assert waiting.pauses[0] == 0.2
    assert waiting.pauses == sorted(waiting.pauses)
    assert waiting.pauses[-1] == 2.0


@pytest.mark.parametrize("error", [NotStarted("no room"), Unavailable("503")])
def test_an_execution_that_was_not_started_is_told(
    services: FakeServices, message: JobMessage, waiting: Waiting, error: Exception
) -> None:
    services.faults.fail_next("executions.start", error)
    with pytest.raises(type(error)):
        serve(services, message, waiting)


@pytest.mark.parametrize("call", ["executions.has_ended", "objects.read jobs/"])
def test_a_look_at_its_execution_that_fails_is_made_again(
    services: FakeServices, message: JobMessage, waiting: Waiting, call: str
) -> None:
    """An answer now would bring the task again, and with it a second execution."""
    waiting.then[1] = lambda: services.faults.fail_next(call, Unavailable("503"), times=2)
    waiting.then[4] = lambda: change(services, message, taken, succeeded)
    assert serve(services, message, waiting) is True
    assert len(services.executions.started) == 1
    assert len(waiting.pauses) == 4


def test_a_look_at_an_earlier_dispatchs_execution_that_fails_is_made_again(
    services: FakeServices, message: JobMessage, waiting: Waiting
) -> None:
    change(services, message, taken)
    waiting.then[1] = lambda: services.faults.fail_next("objects.read jobs/", Unavailable("503"))
    waiting.then[2] = lambda: change(services, message, succeeded)
    assert serve(services, message, waiting) is True
    assert services.executions.started == []


def test_looks_that_fail_go_on_no_longer_than_the_task(
    services: FakeServices, message: JobMessage, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: services.clock.now().timestamp())
    monkeypatch.setattr("shared.cpu_task.time", clock)
    services.faults.fail_next("executions.has_ended", Unavailable("503"), times=1000)
    assert serve(services, message, waiting, deadline_seconds=40) is False
    assert len(waiting.pauses) > 1


def test_two_executions_for_one_job_do_no_harm(services: FakeServices, message: JobMessage, waiting: Waiting) -> None:
    """The answer to the first start was lost, and the queue brought the task again."""
    services.faults.fail_next("executions.start", Unavailable("503"), happens=True)
    with pytest.raises(Unavailable):
        serve(services, message, waiting)
    change(services, message, taken)
    waiting.then[1] = lambda: change(services, message, succeeded)
    assert serve(services, message, waiting) is True
    assert len(services.executions.started) == 1
