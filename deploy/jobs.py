"""Cloud Run Jobs, by their images' digests. They know no split of traffic: a canary is of functions, Jobs follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy import environment
from deploy.command import Command, Flag, Lookup
from deploy.live import Json, Live
from deploy.revisions import environment_of, services
from deploy.situation import Situation, file_types, gpu_file_types
from deploy.target import Target, as_json, digest


def deploy(target: Target, live: Live, situation: Situation, names: tuple[str, ...] | None = None) -> list[Command]:
    """Create or update; the version that ran before stays in a label, for the way back."""
    return [
        _deploy(target, live, situation, name, found)
        for name in names or target.resources.jobs
        if not _is_current(target, live, situation, name, found := job(target, live, name))
    ]


def job(target: Target, live: Live, name: str) -> Json | None:
    return live.of(f"jobs {target.job_region(name)}").get(target.resources.jobs[name].name)


def behind(target: Target, live: Live) -> Iterator[tuple[str, str]]:
    """Jobs that are not what functions send work to, each with the version it belongs to.

    They are of another version, or pull what is published for other file types than the target's.
    """
    serving = {each.version_of(each.serving) for each in services(target, live).values()}
    for name in target.resources.jobs:
        found = job(target, live, name)
        if found is None:
            continue
        version, previous = label(found, "version"), label(found, "previous")
        pulled = file_types(environment_of(found["spec"]["template"]["spec"]["template"]["spec"]))
        if version in serving and pulled != gpu_file_types(target):
            yield name, str(version)
        elif version not in serving and previous in serving:
            yield name, str(previous)


def label(found: Json | None, name: str) -> str | None:
    """One of a Job's own labels."""
    labels: Mapping[str, str] = (found or {}).get("metadata", {}).get("labels") or {}
    return labels.get(name)


def _is_current(target: Target, live: Live, situation: Situation, name: str, found: Json | None) -> bool:
    return (
        found is not None
        and label(found, "version") == target.version
        and label(found, "config") == _config(target, live, situation, name)
    )


def _config(target: Target, live: Live, situation: Situation, name: str) -> str:
    text = as_json(environment.of_job(target, situation, name))
    flags = sorted(_flags(target, name).items())
    image = live.digests.get(target.resources.jobs[name].image, "")
    return digest(text, image, *(f"{key}={value}" for key, value in flags))


def _deploy(target: Target, live: Live, situation: Situation, name: str, found: Json | None) -> Command:
    declared = target.resources.jobs[name]
    file = target.file(f"{declared.name}.env.json", as_json(environment.of_job(target, situation, name)))
    labels = {
        **target.labels,
        "version": target.version,
        "config": _config(target, live, situation, name),
    }
    before = label(found, "version")
    if before and before != target.version:
        labels["previous"] = before
    return target.gcloud(
        *_track(target, name), "run", "jobs", "deploy", declared.name,
        files=(file,),
        region=target.job_region(name),
        image=image(target, live, declared.image),
        env_vars_file=str(file.path),
        labels=labels,
        more=_flags(target, name),
    )  # fmt: skip


def _track(target: Target, name: str) -> tuple[str, ...]:
    """Of a Job's GPU flags gcloud's general release has none, and beta not the one about zones."""
    return ("alpha",) if target.resources.jobs[name].gpu else ()


def image(target: Target, live: Live, name: str) -> str | Lookup:
    """By digest: what runs is what was tested, whatever becomes of the tag."""
    address = target.image(name)
    if digest_known := live.digests.get(name):
        return f"{address}@{digest_known}"
    describe = ("artifacts", "docker", "images", "describe", f"{address}:{target.version}")
    return Lookup(f"{address}@", (*describe, "--format=value(image_summary.digest)"))


def _flags(target: Target, name: str) -> dict[str, Flag]:
    declared = target.resources.jobs[name]
    program, *arguments = declared.command
    # A second zone's GPU in reserve has a quota of its own; the one that is asked before (checks.GPU_QUOTA) is without.
    gpu: dict[str, Flag] = {"gpu": 1, "gpu_type": declared.gpu, "gpu_zonal_redundancy": False} if declared.gpu else {}
    return {
        "command": program,
        "args": ",".join(arguments),
        "service_account": target.account(declared.account),
        "cpu": declared.cpu,
        "memory": declared.memory,
        **gpu,
        "tasks": 1,
        "max_retries": declared.max_retries,
        "task_timeout": f"{declared.task_timeout}s",
    }
