"""Takes away what an earlier roll-out has left: `up` only ever adds and changes."""

from __future__ import annotations

from deploy import alerting, grants, traffic
from deploy.command import Phase, Plan
from deploy.live import Live
from deploy.phases import drain_one
from deploy.situation import situation, superseded
from deploy.target import Target


def left_behind(target: Target, live: Live) -> list[str]:
    """Subscriptions of a filter that is not wanted any more."""
    return [name for _, name in superseded(target, live)]


def cleanup(target: Target, live: Live, empty: frozenset[str]) -> Plan:
    """Revisions, subscriptions, policies and rights that nothing needs. `empty`: left behind, and without messages."""
    left = left_behind(target, live)
    pulled = {name for account in target.resources.accounts.values() for name in account.subscriptions}
    full = [name for declared, name in superseded(target, live) if name not in empty and declared in pulled]
    surplus = grants.surplus(target, live.grants, grants.declared_grants(target, situation(target, live)))
    phases = (
        Phase("Revisions that nothing points to", tuple(traffic.old_revisions(target, live))),
        Phase(
            "Subscriptions of an old filter",
            tuple(target.gcloud("pubsub", "subscriptions", "delete", name) for name in left if name in empty),
        ),
        Phase(
            "Messages that wait in an old subscription",
            tuple(command for name in full for command in drain_one(target, live, name)),
        ),
        Phase(
            "Alert policies without a rule",
            tuple(
                target.gcloud("alpha", "monitoring", "policies", "delete", name)
                for name in alerting.stray_policies(target, live)
            ),
        ),
        Phase("Rights beyond the table", tuple(grants.unbind(target, surplus))),
    )
    return tuple(phase for phase in phases if phase.commands)
