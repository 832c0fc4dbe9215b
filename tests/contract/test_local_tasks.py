"""The Cloud Tasks stand-in, as the real client and an HTTP target see it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions as api
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.protobuf import field_mask_pb2

from local.tasks import CloudTasks
from tests.fakes.http_target import Reply, Target, http_target
from tests.waiting import eventually

PARENT = "projects/p/locations/r"
QUEUE = f"{PARENT}/queues/cpu-tasks"
FAST_RETRY = tasks_v2.RetryConfig(
    max_attempts=100, min_backoff=timedelta(milliseconds=20), max_backoff=timedelta(milliseconds=20)
)


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as target:
        yield target


@pytest.fixture
def client() -> Iterator[tasks_v2.CloudTasksClient]:
    with CloudTasks(shortest_deadline_s=0.1) as cloud_tasks, grpc.insecure_channel(cloud_tasks.address) as channel:
        yield tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


def make_queue(
    client: tasks_v2.CloudTasksClient,
    *,
    rate: float = 500,
    concurrent: int = 1000,
    retry: tasks_v2.RetryConfig = FAST_RETRY,
) -> tasks_v2.Queue:
    limits = tasks_v2.RateLimits(max_dispatches_per_second=rate, max_concurrent_dispatches=concurrent)
    queue = tasks_v2.Queue(name=QUEUE, rate_limits=limits, retry_config=retry)
    return client.create_queue(parent=PARENT, queue=queue)


def create(client: tasks_v2.CloudTasksClient, url: str, name: str = "", **fields: Any) -> tasks_v2.Task:
    request = {"url": url, "body": b'{"n": 1}', **fields.pop("http_request", {})}
    full_name = f"{QUEUE}/tasks/{name}" if name else ""
    return client.create_task(parent=QUEUE, task=tasks_v2.Task(name=full_name, http_request=request, **fields))


def waiting(client: tasks_v2.CloudTasksClient) -> list[str]:
    return [task.name.rpartition("/")[2] for task in client.list_tasks(parent=QUEUE)]


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


def test_name_is_remembered_while_the_task_waits_and_after_it_ended(
    client: tasks_v2.CloudTasksClient, target: Target
) -> None:
    make_queue(client)
    client.pause_queue(name=QUEUE)
    create(client, target.url, "job-1")
    with pytest.raises(api.AlreadyExists):
        create(client, target.url, "job-1")
    client.resume_queue(name=QUEUE)
    eventually(lambda: not waiting(client))
    with pytest.raises(api.AlreadyExists):
        create(client, target.url, "job-1")
    create(client, target.url, "deleted", schedule_time=datetime.now(UTC) + timedelta(hours=1))
    client.delete_task(name=f"{QUEUE}/tasks/deleted")
    with pytest.raises(api.AlreadyExists):
        create(client, target.url, "deleted")
    assert len(target.received) == 1


def test_of_many_creates_with_one_name_exactly_one_wins(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)

    def wins(_: int) -> bool:
        try:
            create(client, target.url, "same")
        except api.AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(wins, range(64))) == 1
    eventually(lambda: not waiting(client))
    assert len(target.received) == 1


def test_unnamed_tasks_get_names_of_their_own(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    names = {create(client, target.url).name for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(f"{QUEUE}/tasks/") for name in names)
    eventually(lambda: len(target.received) == 20)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "not/allowed"}, api.InvalidArgument),
        ({"url": "ftp://127.0.0.1/"}, api.InvalidArgument),
        ({"http_request": {"http_method": "GET"}}, api.InvalidArgument),
        ({"http_request": {"body": b"x" * 1024 * 1024}}, api.InvalidArgument),
        ({"dispatch_deadline": timedelta(minutes=31)}, api.InvalidArgument),
        ({"dispatch_deadline": timedelta(milliseconds=50)}, api.InvalidArgument),
    ],
)
def test_task_that_cloud_tasks_would_refuse_is_refused(
    client: tasks_v2.CloudTasksClient, fields: dict[str, Any], error: type[Exception]
) -> None:
    make_queue(client)
    with pytest.raises(error):
        create(client, fields.pop("url", "http://127.0.0.1:9/"), fields.pop("name", ""), **fields)
    assert waiting(client) == []


def test_what_is_not_there_is_not_found(client: tasks_v2.CloudTasksClient) -> None:
    with pytest.raises(api.NotFound):
        create(client, "http://127.0.0.1:9/")
    with pytest.raises(api.NotFound):
        client.get_queue(name=QUEUE)
    make_queue(client)
    with pytest.raises(api.NotFound):
        client.get_task(name=f"{QUEUE}/tasks/none")
    with pytest.raises(api.NotFound):
        client.delete_task(name=f"{QUEUE}/tasks/none")


def test_queue_is_made_once_with_defaults_and_can_be_changed(client: tasks_v2.CloudTasksClient) -> None:
    made = client.create_queue(parent=PARENT, queue=tasks_v2.Queue(name=QUEUE))
    assert made.state == tasks_v2.Queue.State.RUNNING
    assert made.rate_limits.max_dispatches_per_second == 500
    assert made.rate_limits.max_concurrent_dispatches == 1000
    assert made.retry_config.max_attempts == 100
    assert made.retry_config.max_backoff == timedelta(hours=1)
    with pytest.raises(api.AlreadyExists):
        make_queue(client)
    limits = tasks_v2.RateLimits(max_dispatches_per_second=5)
    mask = field_mask_pb2.FieldMask(paths=["rate_limits.max_dispatches_per_second"])
    client.update_queue(queue=tasks_v2.Queue(name=QUEUE, rate_limits=limits), update_mask=mask)
    (listed,) = client.list_queues(parent=PARENT)
    assert listed.rate_limits.max_dispatches_per_second == 5
    assert listed.rate_limits.max_burst_size == 5
    assert listed.rate_limits.max_concurrent_dispatches == 1000


def test_rate_holds_for_first_tries_and_retries_together(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client, rate=20)
    target.answers(*[500] * 20)
    for _ in range(20):
        create(client, target.url)
    eventually(lambda: len(target.received) == 40)
    first = target.received[0].at
    # A burst of 20, then one every 50 ms.
    for count, got in enumerate(target.received):
        assert got.at - first >= (count - 20) / 20 - 0.02
    assert target.received[-1].at - first < 3


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
        assert least - 0.02 <= gap < least + 0.5


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
    eventually(lambda: len(target.received) == 2)
    assert target.received[1].headers["X-CloudTasks-TaskExecutionCount"] == "0"
    task = client.get_task(name=f"{QUEUE}/tasks/slow")
    assert task.dispatch_count >= 2
    assert task.response_count == 0
    target.gate.set()
    eventually(lambda: not waiting(client))


def test_target_that_is_down_is_tried_again_until_it_is_up(client: tasks_v2.CloudTasksClient) -> None:
    make_queue(client)
    with http_target() as gone:
        url = gone.url
    create(client, url, "t")
    eventually(lambda: client.get_task(name=f"{QUEUE}/tasks/t").dispatch_count >= 2)
    assert "no answer" in client.get_task(name=f"{QUEUE}/tasks/t").last_attempt.response_status.message


def test_task_is_not_sent_before_its_schedule_time(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    eta = datetime.now(UTC) + timedelta(seconds=0.5)
    create(client, target.url, "later", schedule_time=eta)
    create(client, target.url, "now")
    eventually(lambda: len(target.received) == 1)
    assert waiting(client) == ["later"]
    eventually(lambda: len(target.received) == 2)
    assert datetime.now(UTC) >= eta
    assert [got.headers["X-CloudTasks-TaskName"] for got in target.received] == ["now", "later"]
    assert float(target.received[1].headers["X-CloudTasks-TaskETA"]) == pytest.approx(eta.timestamp(), abs=1e-5)


@pytest.mark.parametrize("reply", [Reply(429), Reply(503), Reply(503, {"Retry-After": "1"})])
def test_429_and_503_slow_the_whole_queue_down(client: tasks_v2.CloudTasksClient, target: Target, reply: Reply) -> None:
    make_queue(client)
    target.replies.append(reply)
    create(client, target.url, "busy")
    eventually(lambda: client.get_task(name=f"{QUEUE}/tasks/busy").response_count == 1)
    create(client, target.url, "innocent")
    eventually(lambda: len(target.received) == 3)
    least = float(reply.headers.get("Retry-After", 0.5))
    assert target.received[1].at - target.received[0].at >= least - 0.02


def test_paused_queue_takes_tasks_and_sends_none(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    assert client.pause_queue(name=QUEUE).state == tasks_v2.Queue.State.PAUSED
    create(client, target.url, "a")
    create(client, target.url, "b")
    assert waiting(client) == ["a", "b"]
    client.delete_task(name=f"{QUEUE}/tasks/a")
    assert client.resume_queue(name=QUEUE).state == tasks_v2.Queue.State.RUNNING
    eventually(lambda: not waiting(client))
    assert [got.headers["X-CloudTasks-TaskName"] for got in target.received] == ["b"]


def test_purge_drops_all_that_waits(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    client.pause_queue(name=QUEUE)
    for _ in range(5):
        create(client, target.url)
    client.purge_queue(name=QUEUE)
    client.resume_queue(name=QUEUE)
    assert waiting(client) == []
    create(client, target.url, "after")
    eventually(lambda: not waiting(client))
    assert [got.headers["X-CloudTasks-TaskName"] for got in target.received] == ["after"]


def test_task_deleted_while_it_is_sent_is_not_tried_again(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    target.gate.clear()
    target.answers(500)
    create(client, target.url, "t")
    eventually(lambda: target.open_now == 1)
    client.delete_task(name=f"{QUEUE}/tasks/t")
    target.gate.set()
    create(client, target.url, "next")
    eventually(lambda: not waiting(client))
    assert [got.headers["X-CloudTasks-TaskName"] for got in target.received] == ["t", "next"]


def test_body_is_shown_only_in_the_full_view(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    client.pause_queue(name=QUEUE)
    name = create(client, target.url, "t").name
    assert client.get_task(name=name).http_request.body == b""
    full = client.get_task(request={"name": name, "response_view": "FULL"})
    assert full.http_request.body == b'{"n": 1}'
    # The view is a copy: what is sent still has its body.
    client.resume_queue(name=QUEUE)
    eventually(lambda: not waiting(client))
    assert target.received[0].body == b'{"n": 1}'


def test_listing_comes_in_pages(client: tasks_v2.CloudTasksClient, target: Target) -> None:
    make_queue(client)
    client.pause_queue(name=QUEUE)
    for number in range(7):
        create(client, target.url, f"t{number}")
    pages = client.list_tasks(request={"parent": QUEUE, "page_size": 3}).pages
    assert [len(page.tasks) for page in pages] == [3, 3, 1]


def test_closing_drops_requests_that_are_under_way(target: Target) -> None:
    target.gate.clear()
    with CloudTasks() as cloud_tasks, grpc.insecure_channel(cloud_tasks.address) as channel:
        client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
        make_queue(client)
        create(client, target.url)
        eventually(lambda: target.open_now == 1)
        started = time.monotonic()
    assert time.monotonic() - started < 2
