"""Functions: one Cloud Run service each, built from source; a new revision when source, settings or version change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from deploy import environment, secret_versions
from deploy.command import Command, Flag
from deploy.live import Live
from deploy.revisions import CANARY, PREVIOUS, Service, services
from deploy.situation import Situation
from deploy.target import Target, as_json, digest

_BASE_IMAGE: Final = "python311"


def keep_way_back(target: Target, live: Live, situation: Situation) -> list[Command]:
    """What serves is tagged where something else is going to; elsewhere a tag goes if it is of another release.

    Before anything is deployed, so that `rollback` is right also after an `up` that stopped half-way.
    """
    known = services(target, live)
    leaving = [
        function for function, service in known.items()
        if not service.is_on(service.serving, labels(target, live, situation, function))
    ]  # fmt: skip
    left = {known[function].version_of(known[function].serving) for function in leaving}
    tagged: dict[str, dict[str, Flag]] = {
        function: {"update_tags": {PREVIOUS: known[function].serving}}
        for function in leaving
        if known[function].serving in known[function].revisions and known[function].previous != known[function].serving
    }
    stale: dict[str, dict[str, Flag]] = {
        function: {"remove_tags": PREVIOUS}
        for function, service in known.items()
        if leaving and function not in leaving and service.previous and service.version_of(service.previous) not in left
    }
    return [
        target.gcloud("run", "services", "update-traffic", known[function].name, region=target.region, more=flags)
        for function, flags in (tagged | stale).items()
    ]


def deploy(target: Target, live: Live, situation: Situation) -> list[Command]:
    """New revisions where source, settings or version are neither what serves nor what is newest."""
    commands = []
    for function, service in _present(target, live):
        wanted = labels(target, live, situation, function)
        if not _has(service, "latest", wanted) and not _has(service, "serving", wanted):
            commands.append(_deploy(target, live, situation, function, on_trial=False))
    return commands


def deploy_on_trial(target: Target, live: Live, situation: Situation) -> list[Command]:
    """New revisions with a tag and without traffic; a service's first gets all of it. One from before is tagged."""
    commands = []
    for function, service in _present(target, live):
        wanted = labels(target, live, situation, function)
        if _has(service, "canary", wanted) or _has(service, "serving", wanted):
            continue
        if service is not None and _has(service, "latest", wanted):
            tags = {CANARY: service.latest}
            commands.append(
                target.gcloud("run", "services", "update-traffic", service.name, region=target.region, update_tags=tags)
            )
        else:
            commands.append(_deploy(target, live, situation, function, on_trial=service is not None))
    return commands


def send_all_traffic(target: Target, live: Live, situation: Situation) -> list[Command]:
    """To the newest revision, where it does not go there by itself."""
    commands = []
    for function, service in services(target, live).items():
        if service.follows_latest:
            continue
        if not service.is_on(service.serving, labels(target, live, situation, function)) or len(service.traffic) > 1:
            commands.append(
                target.gcloud("run", "services", "update-traffic", service.name, region=target.region, to_latest=True)
            )
    return commands


def labels(target: Target, live: Live, situation: Situation, function: str) -> dict[str, str]:
    """`version` is what people ask for, `config` changes with everything else that makes a revision."""
    flags = _flags(target, live, function)
    text = as_json(environment.of_function(target, situation, function))
    config = digest(target.source, text, *(f"{name}={value}" for name, value in sorted(flags.items())))
    return {**target.labels, "version": target.version, "config": config}


def _present(target: Target, live: Live) -> Iterator[tuple[str, Service | None]]:
    """Every function, and its service if there is one."""
    known = services(target, live)
    return ((function, known.get(function)) for function in target.resources.functions)


def _has(service: Service | None, which: Literal["latest", "serving", "canary"], wanted: dict[str, str]) -> bool:
    return service is not None and service.is_on(getattr(service, which), wanted)


def _deploy(target: Target, live: Live, situation: Situation, function: str, *, on_trial: bool) -> Command:
    service = target.service(function)
    file = target.file(f"{service}.env.json", as_json(environment.of_function(target, situation, function)))
    return target.gcloud(
        "run", "deploy", service,
        files=(file,),
        region=target.region,
        source=".",
        env_vars_file=str(file.path),
        labels=labels(target, live, situation, function),
        more=_flags(target, live, function) | ({"traffic": False, "tag": CANARY} if on_trial else {}),
    )  # fmt: skip


def _flags(target: Target, live: Live, function: str) -> dict[str, Flag]:
    declared = target.resources.functions[function]
    pinned = secret_versions.versions(target, live)
    secrets = {
        setting: f"{target.resources.secrets[setting].name}:{pinned[setting]}"
        for setting in declared.secrets
        if setting in pinned
    }
    return {
        "function": function,
        "base_image": _BASE_IMAGE,
        "image": target.image(target.service(function)),
        "build_service_account": f"projects/{target.project}/serviceAccounts/{target.account(target.builder)}",
        "service_account": target.account(declared.account),
        "cpu": declared.cpu,
        "memory": declared.memory,
        "timeout": declared.timeout,
        "concurrency": declared.concurrency,
        # The service's, not the revision's: one that only has a tag keeps no instance warm.
        "min": declared.min_instances,
        "max_instances": declared.max_instances,
        # "No" would take the right from everybody, also where it was granted before.
        "allow_unauthenticated": declared.public,
        **({"set_secrets": secrets} if secrets else {"clear_secrets": True}),
    }
