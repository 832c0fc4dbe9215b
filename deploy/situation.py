"""What settings and names follow from and no declaration can know: how things stand in the project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from deploy.live import Live
from deploy.target import Target, digest
from shared.settings import Settings

#: The cluster's label that says: it takes work.
ROUTE_LABEL: Final = "route"


@dataclass(frozen=True, slots=True)
class Situation:
    #: Is there a cluster that takes work?
    gke_route: bool = False
    #: Declared subscription → its present name, where a changed filter gave it another one.
    subscriptions: Mapping[str, str] = field(default_factory=dict)
    #: Trigger → the subscription that Eventarc made for it.
    events: Mapping[str, str] = field(default_factory=dict)

    def subscription(self, declared: str) -> str:
        return self.subscriptions.get(declared, declared)


def situation(target: Target, live: Live) -> Situation:
    return Situation(
        gke_route=_has_cluster(target, live),
        subscriptions=dict(_names(target, live)),
        events=dict(_events(target, live)),
    )


def gpu_file_types(target: Target) -> frozenset[str]:
    """The set that routes and filters, as a deployment may have changed it."""
    return file_types(target.settings)


def file_types(settings: Mapping[str, str]) -> frozenset[str]:
    """As whoever has these settings in its environment reads them."""
    given = settings.get("GPU_FILE_TYPES")
    if given is None:
        return frozenset(Settings.model_fields["gpu_file_types"].default)
    return frozenset(part.strip() for part in given.split(",") if part.strip())


def superseded(target: Target, live: Live) -> Iterator[tuple[str, str]]:
    """Declared subscription, and the name of one whose filter is not wanted any more."""
    types = gpu_file_types(target)
    for name, subscription in target.resources.subscriptions.items():
        for present, found in live.of("subscriptions").items():
            if _is_called(present, name) and found.get("filter", "") != subscription.filter_for(types):
                yield name, present


def _has_cluster(target: Target, live: Live) -> bool:
    cluster = live.of("clusters").get(target.resources.gke.cluster)
    return cluster is not None and (cluster.get("resourceLabels") or {}).get(ROUTE_LABEL) == "on"


def _names(target: Target, live: Live) -> Iterator[tuple[str, str]]:
    """The one with the wanted filter; else the declared name, or, where that has another filter, a new one."""
    types = gpu_file_types(target)
    known = live.of("subscriptions")
    for name, subscription in target.resources.subscriptions.items():
        wanted = subscription.filter_for(types)
        fitting = [
            each for each, found in known.items() if _is_called(each, name) and found.get("filter", "") == wanted
        ]
        if fitting:
            yield name, min(fitting, key=len)
        elif name in known:
            yield name, f"{name}-{digest(wanted)[:6]}"


def _events(target: Target, live: Live) -> Iterator[tuple[str, str]]:
    for name, found in live.of("triggers").items():
        subscription = found.get("transport", {}).get("pubsub", {}).get("subscription")
        if name in target.resources.trigger and subscription:
            yield name, str(subscription).rpartition("/")[2]


def _is_called(present: str, declared: str) -> bool:
    return re.fullmatch(rf"{re.escape(declared)}(-[0-9a-f]{{6}})?", present) is not None
