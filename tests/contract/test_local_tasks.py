"""The Cloud Tasks stand-in's API, as the real client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.cloud import tasks_v2
from google.protobuf import field_mask_pb2

from tests.contract.task_queue import PARENT, QUEUE, create, make_queue, tasks_client, waiting
from tests.fakes.http_target import Target, http_target
from tests.waiting import eventually


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as target:
        yield target


@pytest.fixture
def client() -> Iterator[tasks_v2.CloudTasksClient]:
    with tasks_client() as client:
        yield client


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
