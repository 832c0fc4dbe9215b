"""The stand-ins of the local cloud, started once for all contract tests, and only if one of them asks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import grpc
import httpx
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1 import types as pubsub
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from local import pubsub as local_pubsub
from local import storage as local_storage
from local.execution import LocalJob
from local.jobs import CloudRunJobs
from local.ports import LOOPBACK, Ports
from local.processes import MissingTool, Processes
from local.tasks import CloudTasks

PROJECT: Final = "local-contract"
REGION: Final = "us-central1"
BUCKET: Final = "contract"
QUEUE: Final = "cpu-tasks"
JOB: Final = "a-job"
#: The least there is: what a test waits for when it waits for a deadline.
ACK_DEADLINE_SECONDS: Final = 10


@dataclass(frozen=True)
class PubSub:
    """The emulator's address, and how to make a topic with one subscription."""

    address: str
    publisher: PublisherClient
    subscriber: SubscriberClient

    def create(self, name: str) -> None:
        topic = self.publisher.topic_path(PROJECT, name)
        self.publisher.create_topic(name=topic)
        self.subscriber.create_subscription(
            pubsub.Subscription(
                name=self.subscriber.subscription_path(PROJECT, name),
                topic=topic,
                ack_deadline_seconds=ACK_DEADLINE_SECONDS,
            )
        )


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    with Ports() as ports:
        yield ports


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="session")
def storage_url(processes: Processes, ports: Ports, logs: Path) -> str:
    """fake-gcs-server with one bucket."""
    port = ports.take()
    try:
        local_storage.start(processes, port=port, data_dir=logs / "data", log=logs / "storage.log", project=PROJECT)
    except MissingTool as missing:
        pytest.skip(missing.message)
    url = f"http://{LOOPBACK}:{port}"
    answer = httpx.post(f"{url}/storage/v1/b?project={PROJECT}", json={"name": BUCKET}, trust_env=False)
    answer.raise_for_status()
    return url


@pytest.fixture(scope="session")
def pub_sub(processes: Processes, ports: Ports, logs: Path) -> Iterator[PubSub]:
    port = ports.take()
    try:
        local_pubsub.start(processes, port=port, log=logs / "pubsub.log")
    except MissingTool as missing:
        pytest.skip(missing.message)
    address = f"{LOOPBACK}:{port}"
    with grpc.insecure_channel(address) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        yield PubSub(address, publisher, SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)))


@pytest.fixture(scope="session")
def cloud_tasks() -> Iterator[CloudTasks]:
    """With one queue that makes no calls before a test resumes it."""
    with CloudTasks() as cloud_tasks, grpc.insecure_channel(cloud_tasks.address) as channel:
        client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
        parent = f"projects/{PROJECT}/locations/{REGION}"
        retry = tasks_v2.RetryConfig(min_backoff=timedelta(milliseconds=20), max_backoff=timedelta(milliseconds=20))
        name = f"{parent}/queues/{QUEUE}"
        client.create_queue(parent=parent, queue=tasks_v2.Queue(name=name, retry_config=retry))
        yield cloud_tasks


@pytest.fixture(scope="session")
def cloud_run(processes: Processes, logs: Path) -> Iterator[CloudRunJobs]:
    """With one job, whose execution ends when the file that it is told of is there."""
    script = "import os, time\nwhile not os.path.exists(os.environ['UNTIL']): time.sleep(0.02)"
    job = LocalJob(JOB, (sys.executable, "-S", "-c", script), max_retries=0, timeout_s=30)
    with CloudRunJobs(processes, project=PROJECT, region=REGION, jobs=[job], log_dir=logs, grace_s=1) as cloud_run:
        yield cloud_run
