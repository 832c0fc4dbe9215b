"""What everything else stands on: APIs, Google's agents, service accounts, buckets, the image repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from deploy.command import Command
from deploy.live import Json, Live
from deploy.target import Target, as_json
from shared.resources import Bucket

#: The quota's is first: it is asked before anything is made.
_APIS: Final = (
    "cloudquotas",
    "artifactregistry",
    "cloudbuild",
    "cloudresourcemanager",
    "cloudscheduler",
    "cloudtasks",
    "cloudtrace",
    "containeranalysis",
    "eventarc",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "storage",
    "telemetry",
)
#: Versions of each image that stay however old they are, and days after which others go.
_KEPT_IMAGES: Final = 20
_IMAGE_DAYS: Final = 30


def apis(target: Target, live: Live) -> list[Command]:
    wanted = [*_APIS, *(["billingbudgets"] if target.billing_account and target.budget else [])]
    missing = [name for each in wanted if (name := f"{each}.googleapis.com") not in live.apis]
    return [target.gcloud("services", "enable", *missing)] if missing else []


def agents(target: Target, live: Live) -> list[Command]:
    """Google makes them when they are first needed, which is too late for a grant."""
    known = {grant.member for grant in live.grants}
    commands = []
    if f"serviceAccount:{target.agent('pubsub')}" not in known:
        commands.append(target.gcloud("beta", "services", "identity", "create", service="pubsub.googleapis.com"))
    if f"serviceAccount:{target.agent('storage')}" not in known:
        commands.append(target.gcloud("storage", "service-agent"))
    return commands


def accounts(target: Target, live: Live) -> list[Command]:
    known = live.of("accounts")
    return [
        target.gcloud("iam", "service-accounts", "create", name, display_name=f"nca-fanout: {account.does}"[:100])
        for name, account in target.resources.accounts.items()
        if target.account(name) not in known
    ]


def repository(target: Target, live: Live) -> list[Command]:
    name, location = target.resources.images.repository, target.region
    found = live.of("repositories").get(name)
    lane = f"repository {name}"
    commands = []
    if found is None:
        commands.append(
            target.gcloud(
                "artifacts", "repositories", "create", name,
                lane=lane, location=location, repository_format="docker", labels=target.labels,
            )
        )  # fmt: skip
    elif not live.has_labels("repositories", name, target.labels):
        commands.append(
            target.gcloud(
                "artifacts", "repositories", "update", name,
                lane=lane, location=location, update_labels=target.labels,
            )
        )  # fmt: skip
    if not (found and set(found.get("cleanupPolicies") or ()) == {each["name"] for each in _CLEANUP}):
        file = target.file("image-cleanup.json", as_json(_CLEANUP))
        commands.append(
            target.gcloud(
                "artifacts", "repositories", "set-cleanup-policies", name,
                lane=lane, files=(file,), location=location, policy=str(file.path), dry_run=False,
            )
        )  # fmt: skip
    return commands


#: Numbers are part of the names: another number is another policy.
_CLEANUP: Final = [
    {
        "name": f"keep-{_KEPT_IMAGES}",
        "action": {"type": "Keep"},
        "mostRecentVersions": {"keepCount": _KEPT_IMAGES},
    },
    {
        "name": f"delete-after-{_IMAGE_DAYS}-days",
        "action": {"type": "Delete"},
        "condition": {"olderThan": f"{_IMAGE_DAYS * 24 * 3600}s"},
    },
]


def buckets(target: Target, live: Live) -> list[Command]:
    return [
        command
        for name, bucket in target.resources.buckets.items()
        for command in _bucket(target, live.of("buckets").get(target.bucket(name)), target.bucket(name), bucket)
    ]


def _bucket(target: Target, found: Json | None, name: str, bucket: Bucket) -> Iterator[Command]:
    """Uniform access and no public one; what gcloud cannot give at creation comes with an update."""
    if found is None:
        yield target.gcloud(
            "storage", "buckets", "create", f"gs://{name}",
            lane=name, location=target.region, uniform_bucket_level_access=True, public_access_prevention=True,
        )  # fmt: skip
        found = {**_ACCESS, "labels": {}}
    changes: dict[str, Any] = {}
    files = []
    if any(found.get("iamConfiguration", {}).get(key) != value for key, value in _ACCESS["iamConfiguration"].items()):
        changes |= {"uniform_bucket_level_access": True, "public_access_prevention": True}
    if not target.labels.items() <= dict(found.get("labels") or {}).items():
        changes["update_labels"] = target.labels
    for flag, key, wanted in (
        ("lifecycle_file", "lifecycle", _lifecycle(bucket)),
        ("cors_file", "cors", _cors(bucket)),
    ):
        if found.get(key) != wanted and (wanted or found.get(key)):
            file = target.file(f"{name}-{key}.json", as_json(wanted or ({} if key == "lifecycle" else [])))
            files.append(file)
            changes[flag] = str(file.path)
    if changes:
        yield target.gcloud("storage", "buckets", "update", f"gs://{name}", lane=name, files=tuple(files), **changes)


_ACCESS: Final = {
    "iamConfiguration": {"publicAccessPrevention": "enforced"},
}


def _lifecycle(bucket: Bucket) -> dict[str, Any] | None:
    if not bucket.expire:
        return None
    return {
        "rule": [
            {
                "action": {"type": "Delete"},
                "condition": {"age": each.days, **({"matchesPrefix": [each.prefix]} if each.prefix else {})},
            }
            for each in bucket.expire
        ]
    }


def _cors(bucket: Bucket) -> list[dict[str, Any]] | None:
    """Any page may: a signed URL is what grants access."""
    if not bucket.cors:
        return None
    headers = ["Content-Type", "Content-Range", "Location", "Range", "x-goog-resumable"]
    return [{"origin": ["*"], "method": list(bucket.cors), "responseHeader": headers, "maxAgeSeconds": 3600}]
