"""Moves traffic between revisions: a share to those on trial, all of it to them, or back."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.command import Command, Phase, Plan
from deploy.faults import CannotDeploy
from deploy.live import Live, short_name
from deploy.revisions import CANARY, GKE_ROUTE, PREVIOUS, Service, services
from deploy.situation import situation
from deploy.target import Target


def split(target: Target, live: Live, percent: int) -> Plan:
    """This share of the calls goes to what is on trial. Raises CannotDeploy when nothing is."""
    trials = _trials(target, live)
    commands = [
        _move(target, service, to_revisions={service.serving: str(100 - percent), canary: str(percent)})
        for service, canary in trials
        if service.traffic.get(canary, 0) != percent
    ]
    return _plan(f"{percent} % to the canary", commands)


def promote(target: Target, live: Live) -> Plan:
    """All traffic to what is on trial; what served before keeps a tag, to go back to."""
    commands = [
        _move(target, service, to_revisions={canary: "100"}, set_tags={PREVIOUS: service.serving})
        for service, canary in _trials(target, live)
    ]
    return _plan("All traffic to the canary", commands)


def rollback(target: Target, live: Live) -> Plan:
    """Ends a trial where there is one; else all traffic to what served before the last promotion or `up`.

    A promotion that stopped half-way is both: services that still try, and services that serve the trial's version.
    Raises CannotDeploy when there is nothing to go back to, or what there is has lost a secret or its cluster.
    """
    known = services(target, live).values()
    trials = [service for service in known if service.canary]
    versions = {service.version_of(service.canary) for service in trials}
    promoted = [
        service for service in known
        if service.previous not in (None, service.serving) and not service.canary
        and (not trials or service.version_of(service.serving) in versions)
    ]  # fmt: skip
    lost = (fault for service in promoted for fault in _lost(target, service, live))
    if fault := next(lost, None):
        raise CannotDeploy(fault)
    back = [
        *(_move(target, each, to_revisions={each.serving: "100"}, remove_tags=CANARY) for each in trials),
        *(_move(target, each, to_revisions={str(each.previous): "100"}, remove_tags=PREVIOUS) for each in promoted),
    ]
    if not back:
        raise CannotDeploy("there is nothing to go back to: no canary runs, and no revision is tagged `previous`.")
    return _plan("All traffic back", back)


def old_revisions(target: Target, live: Live) -> list[Command]:
    """Those that get no traffic, have no tag and are neither the newest nor the newest that is ready."""
    return [
        target.gcloud("run", "revisions", "delete", name, region=target.region, lane=service.name)
        for service in services(target, live).values()
        for name in sorted(service.revisions)
        if name not in {*service.pointed_at, service.latest, service.newest}
    ]


def _lost(target: Target, service: Service, live: Live) -> Iterator[str]:
    """What the revision to go back to needs, and what is gone since it served."""
    before = service.revisions.get(str(service.previous))
    if before is None:
        return
    yield from _closed(live, before.name)
    if before.environment.get(GKE_ROUTE) == "true" and not situation(target, live).gke_route:
        yield (
            f"{before.name} sends work to GKE, whose cluster is gone or on its way: `gke up` it first, or take version "
            f"{before.version} up afresh."
        )


def _closed(live: Live, revision: str) -> Iterator[str]:
    """Versions of secrets that this revision is given and could not start without."""
    found = live.of("revisions").get(revision, {})
    variables = [each for container in found.get("spec", {}).get("containers", ()) for each in container.get("env", ())]
    for each in variables:
        pinned = each.get("valueFrom", {}).get("secretKeyRef")
        if pinned and pinned["key"].isdigit():
            states = {short_name(version): version.get("state") for version in live.versions.get(pinned["name"], ())}
            if states.get(pinned["key"]) != "ENABLED":
                yield (
                    f"{revision} could not start: version {pinned['key']} of the secret {pinned['name']} is not "
                    f"enabled (`gcloud secrets versions enable {pinned['key']} --secret={pinned['name']}`)."
                )


def _trials(target: Target, live: Live) -> list[tuple[Service, str]]:
    found = [(service, service.canary) for service in services(target, live).values() if service.canary]
    if not found:
        raise CannotDeploy("no canary runs: `canary 10` starts one, unless its version serves already.")
    return found


def _move(target: Target, service: Service, **flags: str | dict[str, str]) -> Command:
    return target.gcloud("run", "services", "update-traffic", service.name, region=target.region, more=flags)


def _plan(title: str, commands: list[Command]) -> Plan:
    return (Phase(title, tuple(commands)),) if commands else ()
