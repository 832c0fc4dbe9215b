"""Reads a project: list commands first, side by side, then the policies of what they found."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from deploy.access import Grant, Resource, grants_of, policy_command
from deploy.gcloud import Cloud
from deploy.grants import declared_grants
from deploy.live import Json, Live, short_name
from deploy.situation import situation
from deploy.target import Target
from shared.errors import NotFound

#: gcloud waits for the network most of its time, and for a core the rest.
AT_ONCE: Final = 8


def snapshot(cloud: Cloud, target: Target) -> Live:
    """Read everything that `up` compares with. Raises CannotDeploy where a permission to read is missing."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        apis = tuple(cloud.read("services", "list", "--enabled", f"--project={target.project}"))
        enabled = {short_name(each) for each in apis}
        asked = {kind: words for kind, (api, words) in lists(target).items() if f"{api}.googleapis.com" in enabled}
        answers = pool.map(lambda words: tuple(cloud.read(*words, f"--project={target.project}")), asked.values())
        live = Live({"apis": apis, **dict(zip(asked, answers, strict=True))})

        secrets = [each.name for each in target.resources.secrets.values() if each.name in live.of("secrets")]
        versions = pool.map(lambda name: _versions(cloud, target, name), secrets)
        digests = pool.map(lambda name: _digest(cloud, target, live, name), target.resources.images.names)
        policies = pool.map(lambda resource: _policy(cloud, target, resource), list(_existing(target, live)))
        live = replace(
            live,
            versions=dict(zip(secrets, versions, strict=True)),
            digests={name: each for name, each in zip(target.resources.images.names, digests, strict=True) if each},
            grants=frozenset(grant for policy in policies for grant in policy),
        )
    return replace(live, secret_texts=dict(_texts(cloud, target, live)))


def _versions(cloud: Cloud, target: Target, secret: str) -> tuple[Json, ...]:
    return tuple(cloud.read("secrets", "versions", "list", secret, f"--project={target.project}"))


def _digest(cloud: Cloud, target: Target, live: Live, image: str) -> str | None:
    """The wanted version's, if it was built."""
    if target.resources.images.repository not in live.of("repositories"):
        return None
    try:
        return digest_of(cloud, f"{target.image(image)}:{target.version}")
    except NotFound:
        return None


def digest_of(cloud: Cloud, image: str) -> str:
    """Raises NotFound when there is no such image."""
    return str(cloud.read("artifacts", "docker", "images", "describe", image)["image_summary"]["digest"])


def _policy(cloud: Cloud, target: Target, resource: Resource) -> list[Grant]:
    project = () if resource.kind == "project" else (f"--project={target.project}",)
    return list(grants_of(resource, cloud.read(*policy_command(resource), *project)))


def _texts(cloud: Cloud, target: Target, live: Live) -> Iterator[tuple[str, str]]:
    """Present values, only of what a file might change."""
    for setting, secret in target.resources.secrets.items():
        number = live.enabled_version(secret.name)
        if number is not None and target.secrets_dir and (target.secrets_dir / setting).is_file():
            words = ("secrets", "versions", "access", str(number), f"--secret={secret.name}")
            yield setting, cloud.text(*words, f"--project={target.project}")


def _existing(target: Target, live: Live) -> Iterator[Resource]:
    """What the table of rights is about and is there already."""
    for resource in sorted({grant.resource for grant in declared_grants(target, situation(target, live))}):
        if resource.kind == "project" or resource.name.removeprefix("gs://") in live.of(resource.listed_in):
            yield resource


def lists(target: Target) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kind → the API it belongs to, and the words that list it."""
    location, region = f"--location={target.region}", f"--region={target.region}"
    known: dict[str, tuple[str, tuple[str, ...]]] = {
        "accounts": ("iam", ("iam", "service-accounts", "list")),
        "repositories": ("artifactregistry", ("artifacts", "repositories", "list", location)),
        "buckets": ("storage", ("storage", "buckets", "list", "--raw")),
        "topics": ("pubsub", ("pubsub", "topics", "list")),
        "subscriptions": ("pubsub", ("pubsub", "subscriptions", "list")),
        "queues": ("cloudtasks", ("tasks", "queues", "list", location)),
        "secrets": ("secretmanager", ("secrets", "list")),
        "services": ("run", ("run", "services", "list", region)),
        "revisions": ("run", ("run", "revisions", "list", region)),
        **{
            f"jobs {each}": ("run", ("run", "jobs", "list", f"--region={each}"))
            for each in {target.region, target.gpu_region}
        },
        "triggers": ("eventarc", ("eventarc", "triggers", "list", location)),
        "schedules": ("cloudscheduler", ("scheduler", "jobs", "list", location)),
        "metrics": ("logging", ("logging", "metrics", "list")),
        "channels": ("monitoring", ("beta", "monitoring", "channels", "list")),
        "policies": ("monitoring", ("alpha", "monitoring", "policies", "list")),
        "dashboards": ("monitoring", ("monitoring", "dashboards", "list")),
        "clusters": ("container", ("container", "clusters", "list")),
    }
    if target.billing_account:
        account = f"--billing-account={target.billing_account}"
        known["budgets"] = ("billingbudgets", ("billing", "budgets", "list", account))
    return known
