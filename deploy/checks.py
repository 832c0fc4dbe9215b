"""What can be wrong, found before anything is changed; one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from deploy import environment
from deploy.gcloud import Cloud
from deploy.live import Live
from deploy.revisions import Revision, services
from deploy.secret_values import read_secret
from deploy.situation import Situation, file_types, gpu_file_types
from deploy.target import Environment, Target
from shared.errors import JobError
from shared.settings import Settings, parse

#: The first gcloud with everything that is used here.
_GCLOUD: Final = 528
#: https://cloud.google.com/run/quotas#gpu
GPU_QUOTA: Final = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
QUOTA_API: Final = "cloudquotas.googleapis.com"

#: What an operator or Cloud Build may not lack; permission → the role that brings it.
PERMISSIONS: Final[Mapping[str, str]] = {
    "serviceusage.services.enable": "roles/serviceusage.serviceUsageAdmin",
    "resourcemanager.projects.setIamPolicy": "roles/resourcemanager.projectIamAdmin",
    "iam.serviceAccounts.create": "roles/iam.serviceAccountAdmin",
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "storage.buckets.create": "roles/storage.admin",
    "artifactregistry.repositories.create": "roles/artifactregistry.admin",
    "cloudbuild.builds.create": "roles/cloudbuild.builds.editor",
    "run.services.create": "roles/run.admin",
    "pubsub.topics.create": "roles/pubsub.admin",
    "cloudtasks.queues.create": "roles/cloudtasks.admin",
    "cloudscheduler.jobs.create": "roles/cloudscheduler.admin",
    "secretmanager.secrets.create": "roles/secretmanager.admin",
    "eventarc.triggers.create": "roles/eventarc.admin",
    "logging.logMetrics.create": "roles/logging.configWriter",
    "monitoring.alertPolicies.create": "roles/monitoring.editor",
    "cloudquotas.quotas.get": "roles/cloudquotas.viewer",
}


def gcloud_version(cloud: Cloud) -> Iterator[str]:
    found = cloud.read("version")
    number = int(re.match(r"\d+", str(found.get("Google Cloud SDK", "0")))[0])  # type: ignore[index]
    if number < _GCLOUD:
        yield f"gcloud {number} is too old: {_GCLOUD} or newer is needed (`gcloud components update`)."
    if missing := [each for each in ("alpha", "beta") if each not in found]:
        yield f"gcloud's {' and '.join(missing)} commands are missing: `gcloud components install {' '.join(missing)}`."


def project(found: Mapping[str, Any], env: Environment) -> Iterator[str]:
    """What `gcloud projects describe` says."""
    name = found.get("projectId")
    if found.get("lifecycleState", "ACTIVE") != "ACTIVE":
        yield f"the project {name} is being deleted."
    labelled = (found.get("labels") or {}).get("env", env)
    if labelled != env:
        yield f"the project {name} is labelled env={labelled}, and --env is {env}."


def billing(cloud: Cloud, name: str) -> Iterator[str]:
    """Who may not see it is not told."""
    try:
        found = cloud.read("billing", "projects", "describe", name)
    except JobError:
        return
    if not found.get("billingEnabled"):
        yield f"the project {name} has no billing account: link one, nothing runs without."


def permissions(missing: list[str]) -> Iterator[str]:
    if missing:
        roles = sorted({PERMISSIONS[each] for each in missing})
        yield f"you lack {', '.join(missing)} on the project: ask an owner for {', '.join(roles)}."


def places(target: Target, live: Live) -> Iterator[str]:
    """An upload's trigger must be where the bucket is, and a bucket cannot be moved."""
    for name in target.resources.buckets:
        found = live.of("buckets").get(target.bucket(name))
        if found and str(found.get("location", "")).lower() != target.region:
            place = str(found["location"]).lower()
            yield f"the bucket {target.bucket(name)} is in {place} and --region is {target.region}: use its region."


def regions(target: Target, live: Live) -> Iterator[str]:
    """What is only changed or taken away must be where the command line says; else it seems not to be there."""
    resources = target.resources
    everywhere = _any(live, "accounts", map(target.account, resources.accounts)) or _any(
        live, "topics", resources.topics.names
    )
    # `places` knows where a bucket is; queues and the images' repository outlive `destroy`.
    here = (
        _any(live, "buckets", map(target.bucket, resources.buckets))
        or _any(live, "services", map(target.service, resources.functions))
        or _any(live, "queues", resources.queues)
        or _any(live, "repositories", [resources.images.repository])
    )
    if everywhere and not here:
        yield f"{target.project} has the accounts or topics, and {target.region} has nothing: use the --region of `up`."
    told = {each.environment.get("GPU_REGION", target.gpu_region) for each in _serving(target, live)}
    for region in sorted(told - {target.gpu_region}):
        yield f"the functions start the GPU Job in {region}, and --gpu-region is {target.gpu_region}: use {region}."


def same_file_types(target: Target, live: Live) -> Iterator[str]:
    """Which subscriptions are left behind follows from the set: a forgotten --set would doom those in use."""
    for serving in _serving(target, live):
        types = file_types(serving.environment)
        if types != gpu_file_types(target):
            said = ",".join(sorted(types))
            yield f"what serves has GPU_FILE_TYPES={said}, and this command line another set: give the same --set."
            return


def environments(target: Target, live: Live) -> Iterator[str]:
    """What stands in the project already says which environment it is."""
    for kind in ("buckets", "topics", "secrets"):
        for name, found in live.of(kind).items():
            labels = found.get("labels") or {}
            if labels.get("app") == target.labels["app"] and labels.get("env", target.env) != target.env:
                yield f"{name} in {target.project} is labelled env={labels['env']}, and --env is {target.env}."
                return


def values(target: Target) -> Iterator[str]:
    """Settings and secrets as the functions and Jobs are going to read them."""
    known = {name.upper() for name in Settings.model_fields}
    if unknown := sorted(set(target.settings) - known):
        yield f"--set: no such setting: {', '.join(unknown)}."
        return
    if secret := sorted(set(target.settings) & set(target.resources.secrets)):
        yield f"--set: {', '.join(secret)} is a secret: put it into a file and give its folder with --secrets-dir."
        return
    if target.secrets_dir:
        strange = {each.name for each in target.secrets_dir.iterdir()} - set(target.resources.secrets)
        if strange:
            yield f"--secrets-dir: no such secret: {', '.join(sorted(strange))}."
    now = Situation()
    blocks = [environment.of_function(target, now, name) for name in target.resources.functions]
    blocks += [environment.of_job(target, now, name) for name in target.resources.jobs]
    said = {fault for block in blocks for fault in _faults({**block, **_given(target)})}
    yield from sorted(said)
    try:
        for subscription in target.resources.subscriptions.values():
            subscription.filter_for(gpu_file_types(target))
    except ValueError as error:
        yield f"GPU_FILE_TYPES: {error}."


def gpu(target: Target, found: Mapping[str, Any]) -> Iterator[str]:
    """`gcloud beta quotas info describe` knows both: where there are L4s, and how many this project may have."""
    infos = _general_first(found)
    offered = {place: int(each.get("details", {}).get("value") or 0) for each in infos for place in _where(each)}
    wanted = int(target.settings.get("MAX_GPU_EXECUTIONS", Settings.model_fields["max_gpu_executions"].default))
    region = target.gpu_region
    if region not in offered:
        yield f"Cloud Run offers no L4 in {region}: choose --gpu-region from {', '.join(sorted(offered)) or 'none'}."
    elif offered[region] < wanted:
        yield (
            f"{target.project} may use {offered[region]} L4 in {region} and MAX_GPU_EXECUTIONS is {wanted}: ask for "
            f"more of {GPU_QUOTA} (docs/operations-guide.md), or give --set MAX_GPU_EXECUTIONS, or --no-gpu-check."
        )


def images(target: Target, live: Live) -> Iterator[str]:
    missing = [f"{name}:{target.version}" for name in target.resources.images.names if name not in live.digests]
    if missing:
        yield (
            f"not in {target.project}'s registry: {', '.join(missing)}; put the models into "
            f"gs://{target.bucket('models')}, let Cloud Build make the images, and come back."
        )


def no_trial(target: Target, live: Live) -> Iterator[str]:
    """A deployment beside a canary would mix three versions."""
    for version in trial_versions(target, live):
        yield f"a canary of version {version} is running: `promote` or `rollback` it first."


def serves(target: Target, live: Live) -> Iterator[str]:
    """For what changes a setting and is no release."""
    for version in {each.version_of(each.serving) for each in services(target, live).values()} - {target.version}:
        yield f"version {version} serves, and --version is {target.version}: check {version} out, and give it."


def trial_is(target: Target, live: Live) -> Iterator[str]:
    """`promote` moves traffic to one version and Jobs to one: they must be the same."""
    for version in trial_versions(target, live) - {target.version}:
        yield f"the canary runs version {version}, and --version is {target.version}."


def trial_versions(target: Target, live: Live) -> set[str]:
    """What is on trial: one version, or none."""
    return {each.version_of(each.canary) for each in services(target, live).values() if each.canary}


def _serving(target: Target, live: Live) -> list[Revision]:
    known = services(target, live).values()
    return [each.revisions[each.serving] for each in known if each.serving in each.revisions]


def _any(live: Live, kind: str, names: Iterable[str]) -> bool:
    return not live.of(kind).keys().isdisjoint(names)


def _given(target: Target) -> dict[str, str]:
    """Secrets that come from files, and stand-ins for those that are made up."""
    made_up = {"API_KEYS": '[{"name": "operator", "key": "k"}]', "WEBHOOK_SECRET": "whsec_c3RhbmRpbmc="}
    folder = target.secrets_dir
    if folder is None:
        return made_up
    return made_up | {
        name: read_secret(folder / name) for name in target.resources.secrets if (folder / name).is_file()
    }


def _faults(block: Mapping[str, str]) -> Iterator[str]:
    try:
        parse(block)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            place = ".".join(str(part) for part in each["loc"])
            yield f"{place or 'settings'}: {each['msg']}."


def _general_first(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """So that a region's own number is the last word."""
    return sorted(found.get("dimensionsInfos", ()), key=lambda each: len(each.get("dimensions") or {}))


def _where(info: Mapping[str, Any]) -> list[str]:
    region = (info.get("dimensions") or {}).get("region")
    return [region] if region else list(info.get("applicableLocations", ()))
