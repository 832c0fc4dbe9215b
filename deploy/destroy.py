"""Takes everything down but data: buckets unless told otherwise, images, and the APIs stay."""

from __future__ import annotations

from collections.abc import Iterable

from deploy import alerting, grants
from deploy.command import Command, Flag, Phase, Plan
from deploy.faults import CannotDeploy
from deploy.live import Json, Live, short_name
from deploy.target import APP, Target


def destroy(target: Target, live: Live, *, buckets: bool) -> Plan:
    """Callers first, then what they call, then what that used. Raises CannotDeploy while there is a cluster."""
    if target.resources.gke.cluster in live.of("clusters"):
        raise CannotDeploy(f"the cluster {target.resources.gke.cluster} is still there: `gke down` first.")
    phases = (
        Phase("What calls", tuple(_callers(target, live))),
        Phase("What works, what watches", (*_workers(target, live), *_watchers(target, live))),
        Phase("What they used", tuple(_used(target, live, buckets=buckets))),
        Phase(
            "Accounts",
            tuple(_delete(target, live, "accounts", map(target.account, target.resources.accounts), _ACCOUNTS)),
        ),
    )
    return tuple(phase for phase in phases if phase.commands)


_ACCOUNTS = ("iam", "service-accounts")


def _callers(target: Target, live: Live) -> list[Command]:
    """Queues are emptied and stay: the name of a deleted one is taken for days."""
    location: dict[str, Flag] = {"location": target.region}
    subscriptions = [short_name(each) for each in _ours(live, "subscriptions", "labels")]
    return [
        *_delete(target, live, "triggers", target.resources.trigger, ("eventarc", "triggers"), location),
        *_delete(target, live, "schedules", target.resources.scheduler, ("scheduler", "jobs"), location),
        *_delete(target, live, "subscriptions", subscriptions, ("pubsub", "subscriptions")),
        *(
            target.gcloud("tasks", "queues", "purge", name, location=target.region)
            for name in target.resources.queues
            if name in live.of("queues") and live.of("services")
        ),
    ]


def _workers(target: Target, live: Live) -> list[Command]:
    names = [target.service(function) for function in target.resources.functions]
    jobs = [
        command
        for name, job in target.resources.jobs.items()
        for region in [target.job_region(name)]
        for command in _delete(target, live, f"jobs {region}", [job.name], ("run", "jobs"), {"region": region})
    ]
    return [*_delete(target, live, "services", names, ("run", "services"), {"region": target.region}), *jobs]


def _watchers(target: Target, live: Live) -> list[Command]:
    """Policies before the channels that they name."""
    lane = "watchers"
    policies = [each["name"] for each in _ours(live, "policies", "userLabels")]
    channels = [each["name"] for each in _ours(live, "channels", "userLabels")]
    dashboards = [short_name(each) for each in _ours(live, "dashboards", "labels")]
    return [
        *(target.gcloud("alpha", "monitoring", "policies", "delete", name, lane=lane) for name in policies),
        *(target.gcloud("beta", "monitoring", "channels", "delete", name, lane=lane) for name in channels),
        *(target.gcloud("monitoring", "dashboards", "delete", name) for name in dashboards),
        *(target.gcloud("billing", "budgets", "delete", each["name"]) for each in alerting.our_budgets(target, live)),
        *_delete(target, live, "metrics", alerting.metric_names(), ("logging", "metrics")),
    ]


def _used(target: Target, live: Live, *, buckets: bool) -> list[Command]:
    resources = target.resources
    ours = {f"serviceAccount:{target.account(name)}" for name in resources.accounts}
    held = {each for each in live.grants if each.resource.kind == "project" and each.member in ours}
    doomed = [name for name in map(target.bucket, resources.buckets) if buckets and name in live.of("buckets")]
    return [
        *_delete(target, live, "topics", resources.topics.names, ("pubsub", "topics")),
        *_delete(target, live, "secrets", [each.name for each in resources.secrets.values()], ("secrets",)),
        *grants.unbind(target, held),
        *(target.gcloud("storage", "rm", f"gs://{name}", recursive=True) for name in doomed),
    ]


def _delete(
    target: Target,
    live: Live,
    kind: str,
    names: Iterable[str],
    words: tuple[str, ...],
    flags: dict[str, Flag] | None = None,
) -> list[Command]:
    """Of these, the ones that are there."""
    known = live.of(kind)
    return [target.gcloud(*words, "delete", name, more=flags) for name in names if name in known]


def _ours(live: Live, kind: str, field: str) -> list[Json]:
    return [each for each in live.lists.get(kind, ()) if (each.get(field) or {}).get("app") == APP]
