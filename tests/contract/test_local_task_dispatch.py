"""How the Cloud Tasks stand-in sends its tasks, as an HTTP target sees it."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions as api
from google.cloud import tasks_v2

from local.ports import Ports
from tests.contract.task_queue import QUEUE, create, make_queue, tasks_client, waiting
from tests.fakes.http_target import Reply, Target, http_target
from tests.waiting import eventually


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as target:
        yield target


@pytest.fixture
def client() -> Iterator[tasks_v2.CloudTasksClient]:
    with tasks_client() as client:
        yield client


def test_task_arrives_once_as_it_was_made(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    headers = {"Content-Type": "application/json", "X-Mine": "1", "X-CloudTasks-TaskName": "forged"}
    http_request = {"http_method": "PUT", "headers": headers, "oidc_token": {"service_account_email": "a@p"}}
    before = time.time()
    create(client, f"{target.url}run?x=1", "t-1", http_request=http_request)
    eventually(lambda: not waiting(client))

    (got,) = target.received
    assert (got.method, got.path, got.body) == ("PUT", "/run?x=1", b'{"n": 1}')
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["X-Mine"] == "1"
    assert got.headers["User-Agent"] == "Google-Cloud-Tasks"
    assert got.headers["X-CloudTasks-QueueName"] == "cpu-tasks"
    assert got.headers["X-CloudTasks-TaskName"] == "t-1"
    assert got.headers["X-CloudTasks-TaskRetryCount"] == "0"
    assert got.headers["X-CloudTasks-TaskExecutionCount"] == "0"
    assert before - 1 < float(got.headers["X-CloudTasks-TaskETA"]) < time.time() + 1
    assert "X-CloudTasks-TaskPreviousResponse" not in got.headers
    assert "Authorization" not in got.headers


def test_rate_holds_for_first_tries_and_retries_together(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client, rate=20)
    target.answers(*[500] * 20)
    began = time.monotonic()
    for _ in range(20):
        create(client, target.url)
    eventually(lambda: len(target.received) == 40)
    # A burst of 20, then one every 50 ms.
    for count, got in enumerate(target.received, start=1):
        assert got.at - began >= (count - 20) / 20


def test_closing_leaves_no_connection_half_begun(target: Target) -> None:
    """Cancelled from outside, the HTTP client's own tasks were never run, of which Python warned in a later test."""
    with tasks_client() as client:
        make_queue(client)
        client.pause_queue(name=QUEUE)
        for _ in range(40):
            create(client, target.url)
        client.resume_queue(name=QUEUE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in caught] == []


def test_no_more_requests_are_open_than_the_queue_allows(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client, concurrent=3)
    target.gate.clear()
    for _ in range(10):
        create(client, target.url)
    eventually(lambda: target.open_now == 3)
    assert len(waiting(client)) == 10
    target.gate.set()
    eventually(lambda: not waiting(client))
    assert (len(target.received), target.open_most) == (10, 3)


def test_many_long_requests_are_held_at_once(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    target.gate.clear()
    for _ in range(80):
        create(client, target.url)
    eventually(lambda: target.open_now == 80)
    target.gate.set()
    eventually(lambda: not waiting(client))
    assert len(target.received) == 80


def test_retries_are_counted_in_the_headers(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    """TaskExecutionCount leaves out tries that ended in 5xx; TaskRetryCount counts all."""
    make_queue(client)
    target.answers(500, 404, 500, 200)
    create(client, target.url, "t")
    eventually(lambda: not waiting(client))
    names = ("TaskRetryCount", "TaskExecutionCount", "TaskPreviousResponse")
    seen = [tuple(got.headers.get(f"X-CloudTasks-{name}") for name in names) for got in target.received]
    assert seen == [("0", "0", None), ("1", "0", "500"), ("2", "1", "404"), ("3", "1", "500")]
    assert target.received[1].headers["X-CloudTasks-TaskRetryReason"] == "HTTP status code 500"


def test_backoff_grows_between_tries(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    retry = tasks_v2.RetryConfig(
        max_attempts=5, min_backoff=timedelta(seconds=0.1), max_backoff=timedelta(seconds=0.3), max_doublings=4
    )
    make_queue(client, retry=retry)
    target.answers(*[500] * 5)
    create(client, target.url)
    eventually(lambda: len(target.received) == 5 and not waiting(client))
    gaps = [later.at - earlier.at for earlier, later in zip(target.received, target.received[1:], strict=False)]
    for gap, least in zip(gaps, (0.1, 0.2, 0.3, 0.3), strict=True):
        assert gap >= least - 0.02


def test_exhausted_task_is_deleted_and_stays_remembered(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    retry = tasks_v2.RetryConfig(max_attempts=3, min_backoff=timedelta(seconds=0.01))
    make_queue(client, retry=retry)
    target.answers(*[500] * 10)
    create(client, target.url, "poor")
    eventually(lambda: not waiting(client))
    assert len(target.received) == 3
    with pytest.raises(api.AlreadyExists):
        create(client, target.url, "poor")


def test_attempts_alone_do_not_end_a_task_within_its_retry_duration(
    client: tasks_v2.CloudTasksClient, target: Target
) -> None:
    retry = tasks_v2.RetryConfig(
        max_attempts=1, max_retry_duration=timedelta(seconds=60), min_backoff=timedelta(seconds=0.01)
    )
    make_queue(client, retry=retry)
    target.answers(500, 500)
    create(client, target.url)
    eventually(lambda: not waiting(client))
    assert len(target.received) == 3


def test_request_beyond_its_deadline_is_dropped_and_tried_again(
    client: tasks_v2.CloudTasksClient, target: Target
) -> None:
    make_queue(client)
    target.gate.clear()
    create(client, target.url, "slow", dispatch_deadline=timedelta(seconds=0.2))
    eventually(lambda: len(target.received) >= 2)
    assert target.received[1].headers["X-CloudTasks-TaskExecutionCount"] == "0"
    task = client.get_task(name=f"{QUEUE}/tasks/slow")
    assert task.dispatch_count >= 2
    assert task.response_count == 0
    target.gate.set()
    eventually(lambda: not waiting(client))


def test_target_that_is_down_is_tried_again_until_it_is_up(client: tasks_v2.CloudTasksClient) -> None:
    backoff = timedelta(milliseconds=20)
    make_queue(client, retry=tasks_v2.RetryConfig(max_attempts=-1, min_backoff=backoff, max_backoff=backoff))
    with Ports() as ports:
        create(client, f"http://127.0.0.1:{ports.take()}/", "t")
        eventually(lambda: client.get_task(name=f"{QUEUE}/tasks/t").dispatch_count >= 2)
        # The attempt under way has no answer yet.
        eventually(lambda: "no answer" in client.get_task(name=f"{QUEUE}/tasks/t").last_attempt.response_status.message)


def test_task_scheduled_for_later_waits_while_others_are_sent(
    client: tasks_v2.CloudTasksClient, target: Target
) -> None:
    make_queue(client)
    create(client, target.url, "later", schedule_time=datetime.now(UTC) + timedelta(hours=1))
    create(client, target.url, "now")
    eventually(lambda: waiting(client) == ["later"])
    assert [got.headers["X-CloudTasks-TaskName"] for got in target.received] == ["now"]


def test_task_is_sent_at_its_schedule_time_and_not_before(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    eta = datetime.now(UTC) + timedelta(seconds=0.5)
    task = create(client, target.url, schedule_time=eta)
    eventually(lambda: len(target.received) == 1)
    assert datetime.now(UTC) >= eta
    # Later only if the call itself came later.
    planned = task.schedule_time.timestamp()
    assert planned >= eta.timestamp() - 1e-5
    assert float(target.received[0].headers["X-CloudTasks-TaskETA"]) == pytest.approx(planned, abs=1e-5)


@pytest.mark.parametrize("reply", [Reply(429), Reply(503), Reply(503, {"Retry-After": "1"})])
def test_429_and_503_slow_the_whole_queue_down(client: tasks_v2.CloudTasksClient, target: Target, reply: Reply) -> None:
    # One request at a time: the answer to the first is known before the second would be sent.
    make_queue(client, concurrent=1)
    target.replies.append(reply)
    create(client, target.url, "busy")
    create(client, target.url, "innocent")
    eventually(lambda: len(target.received) == 3)
    least = float(reply.headers.get("Retry-After", 0.5))
    assert target.received[1].at - target.received[0].at >= least - 0.02


@pytest.mark.parametrize("status", [200, 500])
def test_task_deleted_while_it_is_sent_is_not_tried_again(
    client: tasks_v2.CloudTasksClient, target: Target, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    make_queue(client, concurrent=1)
    target.gate.clear()
    target.answers(status)
    create(client, target.url, "t")
    eventually(lambda: target.open_now == 1)
    client.delete_task(name=f"{QUEUE}/tasks/t")
    create(client, target.url, "next")
    target.gate.set()
    eventually(lambda: not waiting(client))
    assert [got.headers["X-CloudTasks-TaskName"] for got in target.received] == ["t", "next"]
    assert caplog.records == []


def test_closing_drops_requests_that_are_under_way(target: Target) -> None:
    target.gate.clear()
    with tasks_client() as client:
        make_queue(client)
        create(client, target.url)
        eventually(lambda: target.open_now == 1)
        started = time.monotonic()
    assert time.monotonic() - started < 20
