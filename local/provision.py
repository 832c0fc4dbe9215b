"""Create what resources.toml declares, on the local cloud: buckets, topics, subscriptions, queues."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import httpx
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1 import types as pubsub
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from local.profile import PROJECT, REGION, RESULTS, STATE, UPLOADS, Endpoints
from shared.resources import Queue, Resources, Subscription

#: Where the storage stand-in announces finished writes; Eventarc's own business in the cloud.
EVENTS_TOPIC = "gcs-events"


def create_topics(resources: Resources, endpoints: Endpoints) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{endpoints.pubsub}")
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    for name in (*resources.topics.names, EVENTS_TOPIC):
        publisher.create_topic(name=publisher.topic_path(PROJECT, name))
    channel.close()


def create_subscriptions(resources: Resources, endpoints: Endpoints, gpu_file_types: frozenset[str]) -> None:
    """Push subscriptions carry no token here: the emulator mints none."""
    channel = grpc.insecure_channel(f"127.0.0.1:{endpoints.pubsub}")
    subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    def create(name: str, declared: Subscription) -> None:
        dead_letter = pubsub.DeadLetterPolicy(
            dead_letter_topic=PublisherClient.topic_path(PROJECT, declared.dead_letter_topic or ""),
            max_delivery_attempts=declared.max_delivery_attempts,
        )
        push_to = f"{endpoints.function(declared.push_to)}{declared.push_path}" if declared.push_to else ""
        subscriber.create_subscription(
            pubsub.Subscription(
                name=subscriber.subscription_path(PROJECT, name),
                topic=PublisherClient.topic_path(PROJECT, declared.topic),
                push_config=pubsub.PushConfig(push_endpoint=push_to),
                ack_deadline_seconds=declared.ack_deadline,
                filter=declared.filter_for(gpu_file_types),
                retry_policy=_retries(declared),
                dead_letter_policy=dead_letter if declared.dead_letter_topic else None,
            )
        )

    for name, declared in resources.subscriptions.items():
        create(name, declared)
    subscriber.create_subscription(
        pubsub.Subscription(
            name=subscriber.subscription_path(PROJECT, "eventarc"),
            topic=PublisherClient.topic_path(PROJECT, EVENTS_TOPIC),
            push_config=pubsub.PushConfig(push_endpoint=endpoints.url(endpoints.eventarc)),
            ack_deadline_seconds=10,
        )
    )
    channel.close()


def _retries(declared: Subscription) -> pubsub.RetryPolicy | None:
    """None for what the sweep does not find again, letters and alerts: those are pushed each second.

    With a policy, the emulator (0.8.20) never again delivers messages that were refused a few times at the same moment:
    its list of those that wait knows a message only while no other waits for the same millisecond.
    """
    if declared.push_to and declared.filter is None:
        return None
    return pubsub.RetryPolicy(
        minimum_backoff=timedelta(seconds=declared.retry_min),
        maximum_backoff=timedelta(seconds=declared.retry_max),
    )


def create_queues(resources: Resources, endpoints: Endpoints) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{endpoints.tasks}")
    client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
    parent = f"projects/{PROJECT}/locations/{REGION}"
    for name, declared in resources.queues.items():
        client.create_queue(parent=parent, queue=_queue(f"{parent}/queues/{name}", declared))
    channel.close()


def _queue(name: str, declared: Queue) -> tasks_v2.Queue:
    return tasks_v2.Queue(
        name=name,
        rate_limits=tasks_v2.RateLimits(
            max_dispatches_per_second=declared.dispatches_per_second,
            max_concurrent_dispatches=declared.concurrent_dispatches,
        ),
        retry_config=tasks_v2.RetryConfig(
            max_attempts=declared.max_attempts,
            min_backoff=timedelta(seconds=declared.min_backoff),
            max_backoff=timedelta(seconds=declared.max_backoff),
        ),
    )


def create_buckets(endpoints: Endpoints) -> None:
    def create(name: str) -> None:
        url = f"{endpoints.url(endpoints.storage)}/storage/v1/b"
        httpx.post(url, params={"project": PROJECT}, json={"name": name}, trust_env=False).raise_for_status()

    with ThreadPoolExecutor() as pool:
        list(pool.map(create, (UPLOADS, RESULTS, STATE)))
