"""What watches: metrics counted from logs, channels, alert policies, the dashboard, the budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.command import Command, Lookup
from deploy.live import Json, Live, is_as, short_name
from deploy.policies import policies
from deploy.target import APP, Target, as_json, digest
from monitoring import log_metrics

_DASHBOARD: Final = Path("monitoring", "dashboard.json")
#: Shares of the budget that are mailed to the billing account's administrators.
_BUDGET_SHARES: Final = (0.5, 0.9, 1.0)
#: Of channels and policies: Cloud Monitoring refuses edits of one project that come side by side.
LANE: Final = "monitoring"


def metrics(target: Target, live: Live) -> list[Command]:
    known = live.of("metrics")
    commands = []
    for name in metric_names():
        file = log_metrics.FOLDER / f"{name}.yaml"
        if not is_as(known.get(name), _as_answered(yaml.safe_load(file.read_text()))):
            verb = "update" if name in known else "create"
            path = Path("monitoring", log_metrics.FOLDER.name, file.name)
            commands.append(target.gcloud("logging", "metrics", verb, name, config_from_file=str(path)))
    return commands


def _as_answered(metric: dict[str, Any]) -> dict[str, Any]:
    """Without the type of text labels: it is the enum's zero, which Google's JSON leaves out."""
    descriptor = metric.get("metricDescriptor", {})
    labels = [
        {key: value for key, value in label.items() if (key, value) != ("valueType", "STRING")}
        for label in descriptor.get("labels", ())
    ]
    return {**metric, "metricDescriptor": {**descriptor, "labels": labels}} if labels else metric


def metric_names() -> list[str]:
    return sorted(file.stem for file in log_metrics.FOLDER.glob("*.yaml"))


def channels(target: Target, live: Live) -> list[Command]:
    """Incidents go to the topic that feeds `alert_relay`; the one about the relay goes by mail."""
    return [
        target.gcloud(
            "beta", "monitoring", "channels", "create",
            about=name, lane=LANE, display_name=name, type=kind, channel_labels=labels, user_labels=target.labels,
        )
        for name, kind, labels in _wanted_channels(target)
        if _channel(live, kind, labels) is None
    ]  # fmt: skip


def channel_grants(target: Target, live: Live) -> list[Command]:
    """Cloud Monitoring's account exists once there is a channel that needs it."""
    member = f"serviceAccount:{target.agent('notifications')}"
    topic = _alerts_topic(target)
    if any(grant.resource.name == topic and grant.member == member for grant in live.grants):
        return []
    return [
        target.gcloud("pubsub", "topics", "add-iam-policy-binding", topic, member=member, role="roles/pubsub.publisher")
    ]


def alert_policies(target: Target, live: Live) -> list[Command]:
    """One for each rule, told apart by name; a changed rule changes its policy in place."""
    known = {str(each.get("displayName")): each for each in _ours(live, "policies", "userLabels")}
    commands = []
    for policy in policies(target):
        file = target.file(f"alerts/{policy.name.replace('/', '-')}.json", policy.text(target.labels))
        channel = _channel_argument(target, live, by_mail=policy.by_mail)
        found = known.get(policy.name)
        if found is None:
            commands.append(
                target.gcloud(
                    "alpha", "monitoring", "policies", "create",
                    about=policy.name, lane=LANE, files=(file,),
                    policy_from_file=str(file.path), notification_channels=channel,
                )
            )  # fmt: skip
        elif not _is_policy(found, policy.config, channel):
            commands.append(
                target.gcloud(
                    "alpha", "monitoring", "policies", "update", found["name"],
                    about=policy.name, lane=LANE, files=(file,),
                    policy_from_file=str(file.path), set_notification_channels=channel,
                )
            )  # fmt: skip
    return commands


def stray_policies(target: Target, live: Live) -> list[str]:
    """Names of our policies whose rule is gone."""
    wanted = {policy.name for policy in policies(target)}
    return [each["name"] for each in _ours(live, "policies", "userLabels") if each.get("displayName") not in wanted]


def dashboard(target: Target, live: Live) -> list[Command]:
    body = json.loads(_DASHBOARD.read_text())
    labels = {**target.labels, "config": digest(as_json(body))}
    found = next(iter(_ours(live, "dashboards", "labels")), None)
    if found is not None and is_as(found.get("labels"), labels):
        return []
    if found is not None:
        body["etag"] = found.get("etag", "")
    file = target.file("dashboard.json", as_json({**body, "labels": labels}))
    words = ("update", short_name(found)) if found is not None else ("create",)
    return [target.gcloud("monitoring", "dashboards", *words, files=(file,), config_from_file=str(file.path))]


def budget(target: Target, live: Live) -> list[Command]:
    """A month's, for this project; none without --billing-account and --budget."""
    if not (target.billing_account and target.budget):
        return []
    amount = str(target.budget)
    found = our_budgets(target, live)
    if not found:
        return [
            target.gcloud(
                "billing", "budgets", "create",
                about=amount,
                billing_account=target.billing_account,
                display_name=_budget_name(target),
                budget_amount=amount,
                filter_projects=f"projects/{target.project}",
                threshold_rule=tuple(f"percent={share}" for share in _BUDGET_SHARES),
            )
        ]  # fmt: skip
    return [
        target.gcloud("billing", "budgets", "update", each["name"], budget_amount=amount)
        for each in found
        if each.get("amount", {}).get("specifiedAmount", {}).get("units") != amount
    ]


def our_budgets(target: Target, live: Live) -> list[Json]:
    """Known only with --billing-account."""
    return [each for each in live.lists.get("budgets", ()) if each.get("displayName") == _budget_name(target)]


def _budget_name(target: Target) -> str:
    return f"{APP} {target.env} {target.project}"


def _ours(live: Live, kind: str, field: str) -> Iterator[Json]:
    return (each for each in live.lists.get(kind, ()) if (each.get(field) or {}).get("app") == APP)


def _wanted_channels(target: Target) -> Iterator[tuple[str, str, dict[str, str]]]:
    yield "nca-fanout relay", "pubsub", {"topic": f"projects/{target.project}/topics/{_alerts_topic(target)}"}
    if target.alert_email:
        yield "nca-fanout mail", "email", {"email_address": target.alert_email}


def _alerts_topic(target: Target) -> str:
    """What is pushed to `alert_relay`."""
    return next(each.topic for each in target.resources.subscriptions.values() if each.push_to == "alert_relay")


def _channel(live: Live, kind: str, labels: Mapping[str, str]) -> str | None:
    found = (each for each in live.lists.get("channels", ()) if each.get("type") == kind)
    return next((str(each["name"]) for each in found if is_as(each.get("labels"), dict(labels))), None)


def _channel_argument(target: Target, live: Live, *, by_mail: bool) -> str | Lookup | None:
    """The channel's name; where it is yet to be made, the command that will find it."""
    for _, kind, labels in _wanted_channels(target):
        if (kind == "email") is by_mail:
            ((label, value),) = labels.items()
            find = (
                "beta", "monitoring", "channels", "list", f"--project={target.project}",
                f'--filter=type="{kind}" AND labels.{label}="{value}"', "--format=value(name)",
            )  # fmt: skip
            return _channel(live, kind, labels) or Lookup("", find)
    # Without --alert-email whoever was mailed before still is.
    return next((str(each["name"]) for each in _ours(live, "channels", "userLabels") if each["type"] == "email"), None)


def _is_policy(found: Json, config: str, channel: Any) -> bool:
    wanted = [channel] if channel else []
    return (found.get("userLabels") or {}).get("config") == config and found.get("notificationChannels", []) == wanted
