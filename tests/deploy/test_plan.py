"""What a deployment runs: the order, the golden text, and every command understood by the real gcloud."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import cleanup, destroy, gke, phases, snapshot, traffic
from deploy.access import policy_command
from deploy.command import Command, Plan
from deploy.grants import declared_grants
from deploy.live import Live
from deploy.situation import Situation
from tests.deploy import golden
from tests.deploy.lint import faults, lines, needs_gcloud
from tests.deploy.projects import on_trial, promoted, subscription, target, with_subscriptions

IMAGE = f"asia-northeast1-docker.pkg.dev/hub-stg/nca-fanout/gpu-worker@sha256:{'0' * 64}"


def commands(*plans: Plan) -> list[Command]:
    return [command for plan in plans for phase in plan for command in phase.commands]


def titles(plan: Plan) -> list[str]:
    return [command.title for command in commands(plan)]


def position(plan: Plan, title: str) -> int:
    """The phase in which a command of this title stands."""
    return next(n for n, phase in enumerate(plan) if any(each.title.startswith(title) for each in phase.commands))


def changed_project() -> Live:
    """Everything is there and nothing is as wanted."""
    wanted = target(billing_account="0A0A0A-0B0B0B-0C0C0C", budget=300)
    resources = wanted.resources

    def named(names: Iterable[str]) -> tuple[dict[str, str], ...]:
        return tuple({"name": name} for name in names)

    ours = {"userLabels": {"app": "nca-fanout"}, "labels": {"app": "nca-fanout"}}
    task = {"template": {"spec": {"template": {"spec": {"containers": [{"env": []}]}}}}}
    live = promoted(wanted)
    return replace(
        live,
        lists={
            **live.lists,
            "apis": named(["pubsub.googleapis.com"]),
            "repositories": named([resources.images.repository]),
            "buckets": named(wanted.bucket(name) for name in resources.buckets),
            "topics": named(resources.topics.names),
            "subscriptions": tuple(
                subscription(name, filter=each.filter_for(frozenset({"mp4", "mov", "wav"})))
                for name, each in resources.subscriptions.items()
            ),
            "queues": named(resources.queues),
            "secrets": named(each.name for each in resources.secrets.values()),
            "triggers": tuple(
                {"name": name, "transport": {"pubsub": {"subscription": "eventarc-sub"}}} for name in resources.trigger
            ),
            "schedules": named(resources.scheduler),
            "metrics": named(["job_failed"]),
            "channels": ({"name": "projects/p/notificationChannels/1", "type": "email", **ours},),
            "policies": (
                {"name": "projects/p/alertPolicies/1", "displayName": "relay/AlertRelayDown", **ours},
                {"name": "projects/p/alertPolicies/2", "displayName": "gone/Gone", **ours},
            ),
            "dashboards": ({"name": "projects/1/dashboards/d", "etag": "e", **ours},),
            "budgets": ({"name": "billingAccounts/0A0A0A-0B0B0B-0C0C0C/budgets/1",
                         "displayName": "nca-fanout stg hub-stg"},),
            **{
                f"jobs {wanted.job_region(name)}": (
                    {"metadata": {"name": each.name, "labels": {"version": "v1"}}, "spec": task},
                )
                for name, each in resources.jobs.items()
            },
        },
        grants=declared_grants(wanted, Situation()),
    )  # fmt: skip


def test_plan_is_the_one_that_was_reviewed() -> None:
    """After a change that is meant: `python -m tests.deploy.golden`, and read the difference."""
    assert golden.plan_text() == golden.FILE.read_text()


def test_nothing_that_needs_another_comes_before_it() -> None:
    plan = phases.up(target(), Live())
    order = [
        "services enable",
        "iam service-accounts create",
        "pubsub topics create",
        "pubsub subscriptions create gpu-work",
        "pubsub subscriptions add-iam-policy-binding gpu-work",
        "run deploy on-upload",
        "run services add-iam-policy-binding on-upload",
        "eventarc triggers create uploads",
        "beta monitoring channels create",
        "alpha monitoring policies create",
    ]
    found = [position(plan, title) for title in order]
    assert found == sorted(set(found))
    assert position(plan, "secrets versions add") < position(plan, "run deploy ingest")
    assert position(plan, "artifacts repositories create") < position(plan, "run deploy ingest")


def test_every_command_names_its_project_and_asks_nothing() -> None:
    for command in commands(phases.up(target(), Live())):
        assert "--project=hub-stg" in command.arguments
        assert "--quiet" in command.arguments


def test_every_resource_that_can_carry_labels_does() -> None:
    kinds = {
        "artifacts repositories create", "storage buckets update", "pubsub topics create", "secrets create",
        "pubsub subscriptions create", "eventarc triggers create", "run deploy", "run jobs deploy",
        "alpha run jobs deploy", "beta monitoring channels create",
    }  # fmt: skip
    met = set()
    for command in commands(phases.up(target(), Live())):
        for kind in kinds:
            if command.title.startswith(kind):
                met.add(kind)
                assert any("env=stg,app=nca-fanout" in str(each) for each in command.arguments), command.title
    assert met == kinds


def test_policies_carry_their_labels_in_their_files() -> None:
    made = [each for each in commands(phases.up(target(), Live())) if "policies create" in each.title]
    assert made
    assert all('"app": "nca-fanout"' in each.files[0].text for each in made)


def test_canary_leaves_jobs_and_traffic_alone() -> None:
    plan = phases.canary(target(version="v3"), promoted(target()))
    assert not [title for title in titles(plan) if "jobs deploy" in title or "update-traffic" in title]
    deploys = [each for each in commands(plan) if each.title.startswith("run deploy")]
    assert len(deploys) == len(target().resources.functions)
    assert all({"--no-traffic", "--tag=canary"} <= set(each.arguments) for each in deploys)


def test_a_service_that_is_new_is_deployed_with_traffic_even_on_trial() -> None:
    deploys = [each for each in commands(phases.canary(target(), Live())) if each.title.startswith("run deploy")]
    assert deploys
    assert not any("--no-traffic" in each.arguments for each in deploys)


def test_public_functions_stay_public_through_a_deployment() -> None:
    """`--no-allow-unauthenticated` takes a right away that a grant has given."""
    for name, function in target().resources.functions.items():
        (deploy,) = [
            each
            for each in commands(phases.up(target(), Live()))
            if each.title == f"run deploy {target().service(name)}"
        ]
        wanted = "--allow-unauthenticated" if function.public else "--no-allow-unauthenticated"
        assert wanted in deploy.arguments


def test_nothing_is_granted_to_a_whole_kind() -> None:
    """Each grant names one resource; on the project only what exists only there."""
    allowed = {role for account in target().resources.accounts.values() for role in account.project}
    for grant in declared_grants(target(), Situation()):
        if grant.resource.kind == "project":
            assert grant.role in allowed | {"roles/pubsub.publisher"}
        assert not grant.role.startswith(("roles/owner", "roles/editor", "roles/iam.securityAdmin"))


def test_what_is_held_already_is_not_granted_again() -> None:
    everything = declared_grants(target(), Situation())
    bound = [each for each in titles(phases.up(target(), Live(grants=everything))) if "add-iam-policy-binding" in each]
    assert all(each.startswith(("pubsub subscriptions add-iam-policy-binding …", "pubsub topics")) for each in bound)


@needs_gcloud
@pytest.mark.timeout(300)
def test_gcloud_understands_every_command(tmp_path: Path) -> None:
    stg, prod = target(billing_account="0A0A0A-0B0B0B-0C0C0C", budget=300), target("prod", alert_email=None)
    left = subscription("gpu-work", filter='attributes.fileType = "avi"')
    changed = changed_project()
    asked = [
        line
        for command in commands(
            phases.up(stg, Live()),
            phases.up(prod, Live()),
            phases.up(stg, changed),
            phases.up(stg, with_subscriptions(Live(), left)),
            phases.canary(replace(stg, version="v3"), promoted(stg)),
            traffic.split(stg, on_trial(stg, 0), 10),
            traffic.promote(stg, on_trial(stg)),
            traffic.rollback(stg, on_trial(stg)),
            traffic.rollback(stg, promoted(stg)),
            cleanup.cleanup(stg, with_subscriptions(changed, left), frozenset({"gpu-work"})),
            destroy.destroy(stg, changed, buckets=True),
            gke.up(stg, Live(), image=IMAGE, max_replicas=8),
            gke.down(stg, Live({"clusters": ({"name": stg.resources.gke.cluster},)})),
        )
        for line in lines(command)
    ]
    asked += [(*words, "--format=json") for _, words in snapshot.lists(stg).values()]
    asked += [policy_command(each) for each in {grant.resource for grant in declared_grants(stg, Situation())}]
    assert faults(asked, tmp_path) == []


@needs_gcloud
def test_gcloud_would_find_a_wrong_flag(tmp_path: Path) -> None:
    assert len(faults([("run", "deploy", "x", "--funcion=y"), ("run", "deploy", "x")], tmp_path)) == 1
