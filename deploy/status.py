"""What runs, at which revision, with what share of the calls; what waits, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from deploy.gcloud import Cloud
from deploy.jobs import job, label
from deploy.live import Live
from deploy.promql import Metrics
from deploy.revisions import Service, services
from deploy.situation import Situation, situation, superseded
from deploy.target import Target
from shared.errors import JobError

_BACKLOG: Final = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages)"
_OLDEST: Final = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age)"
_DEPTH: Final = "sum by (queue_id) (cloudtasks_googleapis_com:queue_depth)"
_FAILED: Final = 'sum(increase(logging_googleapis_com:user_job_failed{monitored_resource=~".+"}[1d]))'
#: Samples come each minute and up to four minutes late: what was published since is not in the last one.
_PEAK: Final = (
    "max by (subscription_id) (max_over_time(pubsub_googleapis_com:subscription_num_undelivered_messages[10m]))"
)
#: Executions of a Job that are looked at.
_EXECUTIONS: Final = 20


def lines(cloud: Cloud, target: Target, live: Live, metrics: Callable[[], Metrics]) -> Iterator[str]:
    """`metrics` may raise JobError, and so may what is asked of it."""
    now = situation(target, live)
    yield from _functions(target, live)
    yield from _jobs(cloud, target, live)
    yield f"GKE         {'takes work' if now.gke_route else 'takes no work'}"
    try:
        yield from [*_waiting(target, now, metrics())]
    except JobError:
        yield "backlog     not known: no access to Cloud Monitoring"
    for declared, name in superseded(target, live):
        yield f"{name}  is left from another filter of {declared}; `cleanup` deletes it when it is empty and not in use"


def _functions(target: Target, live: Live) -> Iterator[str]:
    known = services(target, live)
    for function in target.resources.functions:
        if function not in known:
            yield f"{target.service(function):<12}not deployed"
            continue
        service = known[function]
        shown = [*service.traffic, *(name for name in service.tags.values() if name not in service.traffic)]
        for revision in shown:
            yield f"{service.name:<12}{_revision(service, revision)}"


def _revision(service: Service, name: str) -> str:
    found = service.revisions.get(name)
    tags = ", ".join(tag for tag, revision in service.tags.items() if revision == name)
    version, created = (found.version, found.created) if found else ("?", "?")
    return f"{service.traffic.get(name, 0):>3} %  {version:<16} {name}  {created}  {tags}".rstrip()


def _jobs(cloud: Cloud, target: Target, live: Live) -> Iterator[str]:
    for name, declared in target.resources.jobs.items():
        found = job(target, live, name)
        if found is None:
            yield f"{declared.name}  not deployed"
            continue
        executions = cloud.read(
            "run", "jobs", "executions", "list", f"--job={declared.name}", f"--region={target.job_region(name)}",
            f"--limit={_EXECUTIONS}", f"--project={target.project}",
        )  # fmt: skip
        failed = sum(1 for each in executions if each.get("status", {}).get("failedCount"))
        running = sum(1 for each in executions if each.get("status", {}).get("runningCount"))
        version = label(found, "version")
        yield f"{declared.name}  {version}  {running} running, {failed} of the last {len(executions)} failed"


def _waiting(target: Target, now: Situation, metrics: Metrics) -> Iterator[str]:
    backlog, oldest = _by(metrics, _BACKLOG, "subscription_id"), _by(metrics, _OLDEST, "subscription_id")
    for declared in target.resources.subscriptions:
        name = now.subscription(declared)
        yield f"{name:<18}{_number(backlog.get(name))} messages, the oldest {_number(oldest.get(name))} s"
    depth = _by(metrics, _DEPTH, "queue_id")
    for name in target.resources.queues:
        yield f"{name:<18}{_number(depth.get(name))} tasks"
    failed = sum(each.value for each in metrics.ask(_FAILED))
    yield f"failed jobs       {failed:.0f} in the last day"


def _by(metrics: Metrics, query: str, name: str) -> dict[str, float]:
    return {each.labels.get(name, ""): each.value for each in metrics.ask(query)}


def _number(value: float | None) -> str:
    """No sample is not the same as none."""
    return "?" if value is None else f"{value:.0f}"


def known_empty(metrics: Metrics, subscriptions: Collection[str]) -> frozenset[str]:
    """Those without a message for ten minutes. One of which Cloud Monitoring has no sample is none of them."""
    peaks = _by(metrics, _PEAK, "subscription_id")
    return frozenset(name for name in subscriptions if peaks.get(name) == 0)
