"""The trigger that feeds `on_upload`, and what becomes of events that it cannot deliver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from deploy.command import Command, Flag, Lookup
from deploy.live import Json, Live, is_as
from deploy.pubsub import dead_letter_policy
from deploy.situation import Situation
from deploy.target import Target
from shared.resources import Trigger

#: Seconds between tries, at least and at most; Eventarc's own backoff.
_RETRY: Final = (10, 600)


def triggers(target: Target, live: Live, situation: Situation) -> list[Command]:
    return [
        command
        for name, trigger in target.resources.trigger.items()
        for command in _trigger(target, live, name, trigger, situation.events.get(name))
    ]


def _trigger(target: Target, live: Live, name: str, trigger: Trigger, subscription: str | None) -> Iterator[Command]:
    lane = f"trigger {name}"
    found = live.of("triggers").get(name)
    flags: dict[str, Flag] = {
        "location": target.region,
        "destination_run_service": target.service(trigger.calls),
        "destination_run_region": target.region,
        "service_account": target.account(trigger.account),
    }
    if found is None:
        flags["event_filters"] = (f"type={trigger.event}", f"bucket={target.bucket(trigger.bucket)}")
        yield target.gcloud("eventarc", "triggers", "create", name, lane=lane, labels=target.labels, more=flags)
    elif not _is_wanted(target, trigger, found):
        yield target.gcloud("eventarc", "triggers", "update", name, lane=lane, update_labels=target.labels, more=flags)

    its_own = subscription or Lookup("", _its_subscription(target, name))
    if not is_as(live.of("subscriptions").get(subscription or ""), _wanted_subscription(target, trigger)):
        least, most = _RETRY
        yield target.gcloud(
            "pubsub", "subscriptions", "update", its_own,
            lane=lane,
            ack_deadline=target.resources.functions[trigger.calls].timeout,
            min_retry_delay=f"{least}s",
            max_retry_delay=f"{most}s",
            dead_letter_topic=trigger.dead_letter_topic,
            max_delivery_attempts=trigger.max_delivery_attempts,
        )  # fmt: skip
    if subscription is None:
        # Once its name is known, the grant is one like all others.
        agent = f"serviceAccount:{target.agent('pubsub')}"
        yield target.gcloud(
            "pubsub", "subscriptions", "add-iam-policy-binding", its_own,
            lane=lane, member=agent, role="roles/pubsub.subscriber",
        )  # fmt: skip


def _its_subscription(target: Target, trigger: str) -> tuple[str, ...]:
    """Eventarc names it, when it makes the trigger."""
    return (
        "eventarc", "triggers", "describe", trigger, f"--location={target.region}", f"--project={target.project}",
        "--format=value(transport.pubsub.subscription)",
    )  # fmt: skip


def _is_wanted(target: Target, trigger: Trigger, found: Json) -> bool:
    service = {"service": target.service(trigger.calls), "region": target.region}
    wanted = {"destination": {"cloudRun": service}, "labels": target.labels}
    return is_as(found, wanted) and str(found.get("serviceAccount", "")).endswith(target.account(trigger.account))


def _wanted_subscription(target: Target, trigger: Trigger) -> dict[str, Any]:
    least, most = _RETRY
    return {
        "ackDeadlineSeconds": target.resources.functions[trigger.calls].timeout,
        "retryPolicy": {"minimumBackoff": f"{least}s", "maximumBackoff": f"{most}s"},
        "deadLetterPolicy": dead_letter_policy(target, trigger.dead_letter_topic, trigger.max_delivery_attempts),
    }
