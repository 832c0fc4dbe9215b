"""Which revision of each service serves, which is being tried, and which served before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deploy.live import Json, Live
from deploy.target import Target

#: Traffic tags: the revision on trial, and the one to go back to.
CANARY: Final = "canary"
PREVIOUS: Final = "previous"
_FILE_TYPES: Final = "GPU_FILE_TYPES"
#: The setting by which a revision sends work to the cluster.
GKE_ROUTE: Final = "ENABLE_GKE_ROUTE"


@dataclass(frozen=True, slots=True)
class Revision:
    name: str
    labels: Mapping[str, str]
    #: RFC 3339.
    created: str
    ready: bool
    #: Settings that it runs with, by their environment names; without secrets.
    environment: Mapping[str, str]

    @property
    def version(self) -> str:
        return self.labels.get("version", "")


@dataclass(frozen=True, slots=True)
class Service:
    """One function's Cloud Run service, as it is."""

    name: str
    revisions: Mapping[str, Revision]
    #: Revision → percent of the traffic; only what gets any.
    traffic: Mapping[str, int]
    #: Tag → revision.
    tags: Mapping[str, str]
    #: Tag → the address at which only its revision answers.
    urls: Mapping[str, str]
    #: Does a new revision get all traffic by itself?
    follows_latest: bool
    #: The newest that is ready; and the newest, which may never become it and cannot be deleted.
    latest: str
    newest: str

    @property
    def canary(self) -> str | None:
        return self.tags.get(CANARY)

    @property
    def previous(self) -> str | None:
        return self.tags.get(PREVIOUS)

    @property
    def serving(self) -> str:
        """The revision with the most traffic that is not on trial."""
        others = {name: percent for name, percent in self.traffic.items() if name != self.canary}
        return max(others, key=lambda name: others[name], default=self.latest)

    @property
    def pointed_at(self) -> frozenset[str]:
        """Revisions with a share of the calls or a tag."""
        return frozenset({*self.traffic, *self.tags.values()})

    def version_of(self, revision: str | None) -> str:
        found = self.revisions.get(revision or "")
        return found.version if found else ""

    def is_on(self, revision: str | None, labels: Mapping[str, str]) -> bool:
        """Is this revision there, ready, and what these labels say?"""
        found = self.revisions.get(revision or "")
        return found is not None and found.ready and labels.items() <= dict(found.labels).items()


def services(target: Target, live: Live) -> dict[str, Service]:
    """Function → its service, for those that exist."""
    known = live.of("services")
    return {
        function: _service(known[name], live)
        for function in target.resources.functions
        if (name := target.service(function)) in known
    }


def routed(target: Target, live: Live) -> dict[str, str]:
    """GPU_FILE_TYPES as the functions that serve have it; nothing where they do not agree, or do not say."""
    serving = [
        each.revisions[each.serving] for each in services(target, live).values() if each.serving in each.revisions
    ]
    told = {each.environment[_FILE_TYPES] for each in serving if _FILE_TYPES in each.environment}
    return {_FILE_TYPES: told.pop()} if len(told) == 1 else {}


def _service(found: Json, live: Live) -> Service:
    name = str(found["metadata"]["name"])
    status = found.get("status", {})
    latest = str(status.get("latestReadyRevisionName", ""))
    traffic: dict[str, int] = {}
    tags: dict[str, str] = {}
    urls: dict[str, str] = {}
    for each in status.get("traffic", ()):
        revision = str(each.get("revisionName") or latest)
        if percent := int(each.get("percent") or 0):
            traffic[revision] = traffic.get(revision, 0) + percent
        if each.get("tag"):
            tags[str(each["tag"])] = revision
            urls[str(each["tag"])] = str(each.get("url", ""))
    return Service(
        name=name,
        revisions={key: _revision(each) for key, each in live.of("revisions").items() if _belongs(each, name)},
        traffic=traffic,
        tags=tags,
        urls=urls,
        follows_latest=any(
            each.get("latestRevision") and each.get("percent") == 100
            for each in found.get("spec", {}).get("traffic", status.get("traffic", ()))
        ),
        latest=latest,
        newest=str(status.get("latestCreatedRevisionName", "")),
    )


def environment_of(spec: Json) -> dict[str, str]:
    """Of the containers of a revision's, or a task's, specification: what has a value there."""
    given = (each for container in spec.get("containers", ()) for each in container.get("env") or ())
    return {str(each["name"]): str(each["value"]) for each in given if "value" in each}


def _belongs(revision: Json, service: str) -> bool:
    return bool((revision["metadata"].get("labels") or {}).get("serving.knative.dev/service") == service)


def _revision(found: Json) -> Revision:
    metadata = found["metadata"]
    conditions = {each.get("type"): each.get("status") for each in found.get("status", {}).get("conditions", ())}
    return Revision(
        name=str(metadata["name"]),
        labels=metadata.get("labels") or {},
        created=str(metadata.get("creationTimestamp", "")),
        # One without traffic is retired and still fit to serve.
        ready=conditions.get("Ready") != "False" or conditions.get("ContainerHealthy") == "True",
        environment=environment_of(found.get("spec", {})),
    )
