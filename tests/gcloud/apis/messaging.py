"""Pub/Sub, Cloud Tasks, Cloud Scheduler, Eventarc: what they check and what they add."""

from __future__ import annotations

from tests.gcloud.apis.platform import agent
from tests.gcloud.call import Call
from tests.gcloud.store import ApiError, Resource


def _topic(call: Call, key: str, topic: Resource) -> None:
    agent(call, "gcp-sa-pubsub")
    topic.setdefault("state", "ACTIVE")


def _subscription(call: Call, key: str, subscription: Resource) -> None:
    call.require(f"pubsub/{subscription['topic']}")
    if letters := subscription.get("deadLetterPolicy"):
        call.require(f"pubsub/{letters['deadLetterTopic']}")
    push = subscription.setdefault("pushConfig", {})
    if token := push.get("oidcToken"):
        call.require_account(token["serviceAccountEmail"])
        token.setdefault("audience", push["pushEndpoint"])
    before = call.store.resources.get(key, subscription)
    if before.get("filter") != subscription.get("filter"):
        raise ApiError(400, "a subscription's filter cannot be changed")
    if len(subscription.get("filter", "").encode()) > 256:
        raise ApiError(400, "a filter has at most 256 bytes")
    subscription.setdefault("ackDeadlineSeconds", 10)
    subscription.setdefault("messageRetentionDuration", "604800s")
    subscription.setdefault("state", "ACTIVE")


def _queue(call: Call, key: str, queue: Resource) -> None:
    limits = queue.setdefault("rateLimits", {})
    limits.setdefault("maxDispatchesPerSecond", 500.0)
    limits.setdefault("maxConcurrentDispatches", 1000)
    limits["maxBurstSize"] = max(1, int(limits["maxDispatchesPerSecond"] * 2))
    defaults = {"maxAttempts": 100, "minBackoff": "0.100s", "maxBackoff": "3600s", "maxDoublings": 16}
    queue["retryConfig"] = defaults | queue.get("retryConfig", {})
    queue["state"] = "RUNNING"


def _scheduled(call: Call, key: str, job: Resource) -> None:
    if token := job.get("httpTarget", {}).get("oidcToken"):
        call.require_account(token["serviceAccountEmail"])
    job |= {"state": "ENABLED", "userUpdateTime": "2026-11-01T00:00:00Z"}
    job.setdefault("attemptDeadline", "180s")


def _trigger(call: Call, key: str, trigger: Resource) -> None:
    """Makes the trigger's own topic and subscription, as Eventarc does."""
    cloud, store = call.cloud, call.store
    bucket = next(item["value"] for item in trigger["eventFilters"] if item["attribute"] == "bucket")
    location = key.split("/")[4]
    if (found := call.require(f"storage/b/{bucket}")["location"].lower()) != location:
        raise ApiError(400, f"bucket {bucket} is in {found}, the trigger in {location}")
    call.require_account(trigger["serviceAccount"])
    publishers = store.members(f"cloudresourcemanager/projects/{cloud.project}", "roles/pubsub.publisher")
    storage = f"service-{cloud.number}@gs-project-accounts.iam.gserviceaccount.com"
    if f"serviceAccount:{storage}" not in publishers:
        raise ApiError(400, f"The Cloud Storage service account {storage} must have roles/pubsub.publisher")
    service = trigger["destination"]["cloudRun"]
    call.require(f"run/projects/{cloud.project}/locations/{service['region']}/services/{service['service']}")
    if "topic" not in trigger.get("transport", {}).get("pubsub", {}):
        stem = f"eventarc-{location}-{key.rpartition('/')[2]}"
        topic = f"projects/{cloud.project}/topics/{stem}-{store.number()}"
        subscription = f"projects/{cloud.project}/subscriptions/{stem}-sub-{store.number()}"
        store.create(f"pubsub/{topic}", {"name": topic, "labels": {"goog-eventarc": ""}, "state": "ACTIVE"})
        push = {"pushEndpoint": f"https://{service['service']}.run.app?__GCP_CloudEventsMode=CUSTOM_PUBSUB"}
        made = {"name": subscription, "topic": topic, "ackDeadlineSeconds": 10, "pushConfig": push}
        retries = {"retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"}, "state": "ACTIVE"}
        store.create(f"pubsub/{subscription}", made | retries | {"labels": {"goog-eventarc": ""}})
        trigger["transport"] = {"pubsub": {"topic": topic, "subscription": subscription}}
    trigger["uid"] = "1"


def _delete_trigger(call: Call) -> Resource:
    for name in call.store.get(call.key)["transport"]["pubsub"].values():
        call.store.delete(f"pubsub/{name}")
    call.store.delete(call.key)
    return call.operation({})


def _purge(call: Call) -> Resource:
    return call.store.get(call.key)


QUIRKS = {
    "DELETE eventarc/projects/*/locations/*/triggers/*": _delete_trigger,
    "POST cloudtasks/projects/*/locations/*/queues/*:purge": _purge,
}
COMPLETIONS = {
    "pubsub/projects/*/topics/*": _topic,
    "pubsub/projects/*/subscriptions/*": _subscription,
    "cloudtasks/projects/*/locations/*/queues/*": _queue,
    "cloudscheduler/projects/*/locations/*/jobs/*": _scheduled,
    "eventarc/projects/*/locations/*/triggers/*": _trigger,
}
