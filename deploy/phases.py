"""The whole of a deployment in order: what `up`, `canary` and `promote` run, and `plan` prints. Pure."""

from __future__ import annotations

from deploy import alerting, foundation, functions, jobs, pubsub, queues, secret_versions, uploads
from deploy.access import Grant, Resource
from deploy.command import Command, Phase, Plan
from deploy.grants import bind, declared_grants, grant_lane
from deploy.live import Live
from deploy.situation import Situation, situation, superseded
from deploy.target import Target


def prepare(target: Target, live: Live) -> Plan:
    """What the first build of the workers' images needs."""
    return _plan(
        ("APIs", foundation.apis(target, live)),
        (
            "Accounts, buckets, image repository",
            [
                *foundation.agents(target, live),
                *foundation.accounts(target, live),
                *foundation.repository(target, live),
                *foundation.buckets(target, live),
            ],
        ),
    )


def up(target: Target, live: Live) -> Plan:
    """Everything, and all traffic to it."""
    now = situation(target, live)
    return (
        *prepare(target, live),
        *_below(target, live, now),
        *_plan(
            ("The way back", functions.keep_way_back(target, live, now)),
            (
                "Functions, Jobs",
                [*functions.deploy(target, live, now), *jobs.deploy(target, live, now)],
            ),
        ),
        *_above(target, live, now),
        *_plan(
            ("Traffic", functions.send_all_traffic(target, live, now)),
            ("Messages of the old filter", drain(target, live, now)),
        ),
    )


def canary(target: Target, live: Live) -> Plan:
    """Everything but the Jobs; functions on trial, with no traffic yet."""
    now = situation(target, live)
    return (
        *prepare(target, live),
        *_below(target, live, now),
        *_plan(("Functions, on trial", functions.deploy_on_trial(target, live, now))),
        *_above(target, live, now),
    )


def jobs_only(target: Target, live: Live, names: tuple[str, ...] | None = None) -> Plan:
    """The Jobs, or some of them: their turn in a release comes with the promotion."""
    return _plan(("Jobs", jobs.deploy(target, live, situation(target, live), names)))


def drain(target: Target, live: Live, now: Situation) -> list[Command]:
    """When a filter has changed: an execution for each subscription left behind, to work off what waits there."""
    pulled = {name for account in target.resources.accounts.values() for name in account.subscriptions}
    left = [
        name
        for declared, name in superseded(target, live)
        if declared in pulled and now.subscription(declared) not in live.of("subscriptions")
    ]
    return [command for name in left for command in drain_one(target, live, name)]


def drain_one(target: Target, live: Live, subscription: str) -> list[Command]:
    """The GPU Job pulls that subscription once, without a slot, until it is empty."""
    job = target.resources.jobs["gpu"]
    member = f"serviceAccount:{target.account(job.account)}"
    grant = Grant(Resource("subscription", subscription), "roles/pubsub.subscriber", member)
    lane = grant_lane(grant.resource)
    return [
        *(bind(target, [grant]) if grant not in live.grants else []),
        target.gcloud(
            "run", "jobs", "execute", job.name,
            lane=lane, region=target.job_region("gpu"), update_env_vars={"GPU_SUBSCRIPTION": subscription},
            more={"async": True},
        ),
    ]  # fmt: skip


def _below(target: Target, live: Live, now: Situation) -> Plan:
    """What functions and Jobs need before they start: above all the subscriptions of what they will publish."""
    rights = declared_grants(target, now) - live.grants
    later = ("service", "job", "subscription")
    return _plan(
        (
            "Topics, queues, secrets",
            [
                *pubsub.topics(target, live),
                *queues.queues(target, live),
                *secret_versions.create(target, live),
            ],
        ),
        (
            "Subscriptions, values, rights",
            [
                *pubsub.subscriptions(target, live, now),
                *secret_versions.fill(target, live),
                *bind(target, {each for each in rights if each.resource.kind not in later}),
            ],
        ),
        ("Who may pull", bind(target, {each for each in rights if each.resource.kind == "subscription"})),
    )


def _above(target: Target, live: Live, now: Situation) -> Plan:
    """What calls functions and Jobs, and what watches them."""
    rights = declared_grants(target, now) - live.grants
    return _plan(
        ("Who may call", bind(target, {each for each in rights if each.resource.kind in ("service", "job")})),
        ("Trigger, schedule", [*uploads.triggers(target, live, now), *queues.schedules(target, live)]),
        (
            "Metrics, channels, dashboard, budget",
            [
                *alerting.metrics(target, live),
                *alerting.channels(target, live),
                *alerting.dashboard(target, live),
                *alerting.budget(target, live),
            ],
        ),
        ("Alert policies", [*alerting.channel_grants(target, live), *alerting.alert_policies(target, live)]),
    )


def _plan(*phases: tuple[str, list[Command]]) -> Plan:
    return tuple(Phase(title, tuple(commands)) for title, commands in phases if commands)
