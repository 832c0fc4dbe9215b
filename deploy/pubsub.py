"""Topics and subscriptions. A filter cannot be changed: another one means another subscription beside the old."""

from __future__ import annotations

from typing import Any

from deploy.command import Command, Flag
from deploy.live import Live, is_as
from deploy.situation import Situation, gpu_file_types
from deploy.target import Target
from shared.resources import Subscription


def topics(target: Target, live: Live) -> list[Command]:
    known = live.of("topics")
    missing = [name for name in target.resources.topics.names if name not in known]
    unlabelled = [
        name
        for name in target.resources.topics.names
        if name in known and not live.has_labels("topics", name, target.labels)
    ]
    return [
        *([target.gcloud("pubsub", "topics", "create", *missing, labels=target.labels)] if missing else []),
        *(target.gcloud("pubsub", "topics", "update", name, update_labels=target.labels) for name in unlabelled),
    ]


def subscriptions(target: Target, live: Live, situation: Situation) -> list[Command]:
    known = live.of("subscriptions")
    commands = []
    for name, declared in target.resources.subscriptions.items():
        present = situation.subscription(name)
        flags = _flags(target, declared)
        if present not in known:
            commands.append(
                target.gcloud(
                    "pubsub", "subscriptions", "create", present,
                    topic=declared.topic,
                    message_filter=declared.filter_for(gpu_file_types(target)) or None,
                    labels=target.labels,
                    more=flags,
                )
            )  # fmt: skip
        elif not is_as(known[present], _wanted(target, declared)):
            commands.append(
                target.gcloud("pubsub", "subscriptions", "update", present, update_labels=target.labels, more=flags)
            )
    return commands


def dead_letter_policy(target: Target, topic: str, attempts: int) -> dict[str, Any]:
    return {"deadLetterTopic": f"projects/{target.project}/topics/{topic}", "maxDeliveryAttempts": attempts}


def _flags(target: Target, declared: Subscription) -> dict[str, Flag]:
    flags: dict[str, Flag] = {
        "ack_deadline": declared.ack_deadline,
        # Else one that is idle for a month is gone.
        "expiration_period": "never",
        "min_retry_delay": f"{declared.retry_min}s",
        "max_retry_delay": f"{declared.retry_max}s",
    }
    if declared.dead_letter_topic:
        flags["dead_letter_topic"] = declared.dead_letter_topic
        flags["max_delivery_attempts"] = declared.max_delivery_attempts
    if declared.push_to:
        flags["push_endpoint"] = f"{target.url(declared.push_to)}{declared.push_path}"
        flags["push_auth_service_account"] = target.account(target.invoker)
        flags["push_auth_token_audience"] = target.url(declared.push_to)
    return flags


def _wanted(target: Target, declared: Subscription) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "labels": target.labels,
        "ackDeadlineSeconds": declared.ack_deadline,
        "retryPolicy": {"minimumBackoff": f"{declared.retry_min}s", "maximumBackoff": f"{declared.retry_max}s"},
    }
    if declared.dead_letter_topic:
        wanted["deadLetterPolicy"] = dead_letter_policy(
            target, declared.dead_letter_topic, declared.max_delivery_attempts
        )
    if declared.push_to:
        wanted["pushConfig"] = {
            "pushEndpoint": f"{target.url(declared.push_to)}{declared.push_path}",
            "oidcToken": {
                "serviceAccountEmail": target.account(target.invoker),
                "audience": target.url(declared.push_to),
            },
        }
    return wanted
