"""Both lanes: on Google's emulator, which takes their filters and applies none, order, and nothing lost or left; of CPU
tasks two queues, of which one's length is nothing to the other."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.pubsub_v1 import types as pubsub

from local.tasks import CloudTasks
from shared.lanes import CPU_QUEUES, Priority
from shared.pubsub import PubSubSubscription, PubSubTopics
from shared.queues import CloudTasksQueues, Task
from shared.resources import declared
from shared.routing import filter_text
from tests.contract.conftest import ACK_DEADLINE_SECONDS, PROJECT, REGION, PubSub
from tests.fakes.http_target import http_target
from tests.waiting import eventually
from workers.gpu.lanes import Lanes

NORMAL_ONES = 30


@pytest.fixture
def topic(pub_sub: PubSub) -> str:
    """With a subscription for each lane, named after it."""
    name = f"t{uuid.uuid4().hex}"
    topic = pub_sub.publisher.topic_path(PROJECT, name)
    pub_sub.publisher.create_topic(name=topic)
    for priority in Priority:
        pub_sub.subscriber.create_subscription(
            pubsub.Subscription(
                name=pub_sub.subscriber.subscription_path(PROJECT, f"{name}-{priority}"),
                topic=topic,
                ack_deadline_seconds=ACK_DEADLINE_SECONDS,
                filter=filter_text(["mp4"], priority),
            )
        )
    return name


def test_the_high_message_comes_first_and_every_message_is_taken(pub_sub: PubSub, topic: str) -> None:
    topics = PubSubTopics(PROJECT, emulator=pub_sub.address)
    high, normal = (
        PubSubSubscription(PROJECT, f"{topic}-{priority}", emulator=pub_sub.address) for priority in Priority
    )

    def publish(text: str) -> None:
        topics.publish(topic, text.encode(), {"fileType": "mp4", "priority": text.partition(" ")[0]})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, [f"normal {number}" for number in range(NORMAL_ONES)]))
    publish("high")
    # How soon the high lane answers is not what is asked here.
    (first,) = Lanes(high, normal, 30.0).pull(1, timeout_seconds=0.5)
    assert first.data == b"high"
    lanes = Lanes(high, normal, 0.5)
    lanes.ack(first.ack_id)
    taken = ["high"]

    def everything() -> bool:
        for delivery in lanes.pull(1, timeout_seconds=0.5):
            taken.append(delivery.data.decode())
            lanes.ack(delivery.ack_id)
        return len(set(taken)) == NORMAL_ONES + 1

    eventually(everything, lambda: f"{len(set(taken))} messages", within_s=60)
    # The normal lane brings it, too; the job's lease is what keeps it from being done twice.
    assert sorted(set(taken)) == sorted(["high", *(f"normal {number}" for number in range(NORMAL_ONES))])
    eventually(lambda: not [lanes.ack(each.ack_id) for each in lanes.pull(1, timeout_seconds=0.5)], within_s=15)


def test_a_full_normal_queue_of_cpu_tasks_holds_no_high_one_up() -> None:
    parent = f"projects/{PROJECT}/locations/{REGION}"
    with CloudTasks() as cloud_tasks, http_target() as dispatch:
        with grpc.insecure_channel(cloud_tasks.address) as channel:
            client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
            for name in CPU_QUEUES.values():
                # As many at once as in a deployment; how fast they begin is not what is asked here.
                at_once = declared().queues[name].concurrent_dispatches
                limits = tasks_v2.RateLimits(max_dispatches_per_second=500, max_concurrent_dispatches=at_once)
                queue = tasks_v2.Queue(name=f"{parent}/queues/{name}", rate_limits=limits)
                client.create_queue(parent=parent, queue=queue)
        queues = CloudTasksQueues(PROJECT, REGION, account=None, emulator=cloud_tasks.address)

        def enqueue(priority: Priority, name: str) -> None:
            task = Task(name, f"{dispatch.url}/task", dispatch.url, b"{}", deadline_seconds=60)
            assert queues.enqueue(CPU_QUEUES[priority], task)

        dispatch.gate.clear()
        places = declared().queues[CPU_QUEUES[Priority.NORMAL]].concurrent_dispatches
        for number in range(places + 20):
            enqueue(Priority.NORMAL, f"normal-{number}")
        eventually(lambda: dispatch.open_now == places)
        enqueue(Priority.HIGH, "high")
        eventually(lambda: dispatch.open_now == places + 1)
        dispatch.gate.set()
        eventually(lambda: len(dispatch.received) == places + 21)
