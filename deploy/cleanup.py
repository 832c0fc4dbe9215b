"""Takes away what an earlier roll-out has left: `up` only ever adds and changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy import alerting, grants, traffic
from deploy.command import Phase, Plan
from deploy.jobs import job
from deploy.live import Live
from deploy.phases import drain_one
from deploy.revisions import environment_of, services
from deploy.situation import file_types, situation, superseded
from deploy.target import Target


def left_behind(target: Target, live: Live) -> list[str]:
    """Subscriptions of a filter that is not wanted any more, and that nothing goes back to."""
    kept = set(_in_use(target, live))
    return [name for _, name in superseded(target, live) if name not in kept]


def cleanup(target: Target, live: Live, empty: frozenset[str]) -> Plan:
    """Revisions, subscriptions, policies and rights that nothing needs. `empty`: left behind, and without messages."""
    doomed = [name for name in left_behind(target, live) if name in empty]
    pulled = {name for account in target.resources.accounts.values() for name in account.subscriptions}
    full = [name for declared, name in superseded(target, live) if name not in empty and declared in pulled]
    surplus = grants.surplus(target, live.grants, grants.declared_grants(target, situation(target, live)))
    phases = (
        Phase("Revisions that nothing points to", tuple(traffic.old_revisions(target, live))),
        Phase(
            "Subscriptions of an old filter",
            tuple(target.gcloud("pubsub", "subscriptions", "delete", name) for name in doomed),
        ),
        Phase(
            "Messages that wait in an old subscription",
            tuple(command for name in full for command in drain_one(target, live, name)),
        ),
        Phase(
            "Alert policies without a rule",
            tuple(
                target.gcloud("alpha", "monitoring", "policies", "delete", name, lane=alerting.LANE)
                for name in alerting.stray_policies(target, live)
            ),
        ),
        Phase("Rights beyond the table", tuple(grants.unbind(target, surplus))),
    )
    return tuple(phase for phase in phases if phase.commands)


def _in_use(target: Target, live: Live) -> Iterator[str]:
    """By name or by filter, doorbells too: of revisions with calls or a tag (the way back is one), and of Jobs."""
    for settings in _environments(target, live):
        yield from (value for name, value in settings.items() if name.endswith("_SUBSCRIPTION"))
        filters = {each.filter_for(file_types(settings)) for each in target.resources.subscriptions.values()} - {""}
        yield from (name for name, found in live.of("subscriptions").items() if found.get("filter") in filters)


def _environments(target: Target, live: Live) -> Iterator[Mapping[str, str]]:
    for service in services(target, live).values():
        yield from (each.environment for name, each in service.revisions.items() if name in service.pointed_at)
    for name in target.resources.jobs:
        if found := job(target, live, name):
            yield environment_of(found["spec"]["template"]["spec"]["template"]["spec"])
