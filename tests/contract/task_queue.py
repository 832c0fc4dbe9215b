"""The real Cloud Tasks client on the local stand-in, with one queue to use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import grpc
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local.tasks import CloudTasks

PARENT = "projects/p/locations/r"
QUEUE = f"{PARENT}/queues/cpu-tasks"
FAST_RETRY = tasks_v2.RetryConfig(
    max_attempts=100, min_backoff=timedelta(milliseconds=20), max_backoff=timedelta(milliseconds=20)
)


@contextmanager
def tasks_client() -> Iterator[tasks_v2.CloudTasksClient]:
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
