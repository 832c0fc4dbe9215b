"""Both lanes on Google's emulator, which takes their filters and applies none: order, and nothing lost or left."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.pubsub_v1 import types as pubsub

from shared.lanes import Priority
from shared.pubsub import PubSubSubscription, PubSubTopics
from shared.routing import filter_text
from tests.contract.conftest import ACK_DEADLINE_SECONDS, PROJECT, PubSub
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
    lanes = Lanes(high, normal, 0.5)

    def publish(text: str) -> None:
        topics.publish(topic, text.encode(), {"fileType": "mp4", "priority": text.partition(" ")[0]})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, [f"normal {number}" for number in range(NORMAL_ONES)]))
    publish("high")
    taken: list[str] = []

    def everything() -> bool:
        for delivery in lanes.pull(1, timeout_seconds=0.5):
            taken.append(delivery.data.decode())
            lanes.ack(delivery.ack_id)
        return len(set(taken)) == NORMAL_ONES + 1

    eventually(everything, lambda: f"{len(set(taken))} messages", within_s=60)
    assert taken[0] == "high"
    # The normal lane brings it, too; the job's lease is what keeps it from being done twice.
    assert sorted(set(taken)) == sorted(["high", *(f"normal {number}" for number in range(NORMAL_ONES))])
    eventually(lambda: not [lanes.ack(each.ack_id) for each in lanes.pull(1, timeout_seconds=0.5)], within_s=15)
