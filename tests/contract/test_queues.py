"""What the code relies on of Cloud Tasks, by the fake and by the real client on the local stand-in."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local.tasks import CloudTasks
from shared.errors import Misconfigured
from shared.queues import CloudTasksQueues, Queues, Task
from tests.contract.conftest import PROJECT, QUEUE, REGION
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults
from tests.fakes.http_target import http_target
from tests.fakes.queues import FakeQueues
from tests.waiting import eventually


@pytest.fixture(params=["fake", "emulator"])
def queues(request: pytest.FixtureRequest) -> Queues:
    if request.param == "fake":
        return FakeQueues(FakeClock(), Faults(), [QUEUE])
    return standing_in(request.getfixturevalue("cloud_tasks"))


def standing_in(cloud_tasks: CloudTasks) -> Queues:
    account = f"tasks@{PROJECT}.iam.gserviceaccount.com"
    return CloudTasksQueues(PROJECT, REGION, account=account, emulator=cloud_tasks.address)


@pytest.fixture
def task() -> Task:
    """Due in an hour, so that nobody is called."""
    later = datetime.now(UTC) + timedelta(hours=1)
    return Task(
        uuid.uuid4().hex, "http://127.0.0.1:9/task", "http://127.0.0.1:9", b"{}", deadline_seconds=60, schedule_at=later
    )


def test_a_task_is_queued_once_under_its_name(queues: Queues, task: Task) -> None:
    assert queues.enqueue(QUEUE, task) is True
    assert queues.enqueue(QUEUE, task) is False
    assert queues.enqueue(QUEUE, replace(task, url="http://127.0.0.1:9/other")) is False
    assert queues.enqueue(QUEUE, replace(task, name=f"{task.name}-resent-1")) is True


def test_a_queue_that_is_not_there_is_told_as_ours_to_mend(queues: Queues, task: Task) -> None:
    with pytest.raises(Misconfigured) as caught:
        queues.enqueue("no-such-queue", task)
    assert caught.value.reason_code == "misconfigured"


@pytest.mark.parametrize("name", ["a/b", "ü", "", "x" * 501])
def test_a_name_that_is_none_is_told_as_ours_to_mend(queues: Queues, task: Task, name: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        queues.enqueue(QUEUE, replace(task, name=name))
    assert caught.value.reason_code == "misconfigured"


def test_a_name_stays_taken_when_its_task_is_done(cloud_tasks: CloudTasks) -> None:
    with http_target() as target:
        task = Task(uuid.uuid4().hex, f"{target.url}/task?x=1", target.url, b'{"job_id": 1}', deadline_seconds=60)
        queues = standing_in(cloud_tasks)
        assert queues.enqueue(QUEUE, task) is True
        eventually(lambda: target.received)
        assert queues.enqueue(QUEUE, task) is False
        (call,) = target.received
    assert call.body == b'{"job_id": 1}'


def test_the_fake_remembers_a_name_for_a_day(task: Task) -> None:
    clock = FakeClock()
    queues = FakeQueues(clock, Faults(), [QUEUE])
    queues.enqueue(QUEUE, task)
    queues.done(QUEUE, task)
    clock.advance(86_399)
    assert queues.enqueue(QUEUE, task) is False
    clock.advance(1)
    assert queues.enqueue(QUEUE, task) is True
