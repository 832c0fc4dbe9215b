"""A grant as data: one role of one member on one resource, and the gcloud words for each kind of resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal[
    "project", "bucket", "topic", "subscription", "queue", "secret", "service", "job", "account", "repository"
]

#: How gcloud calls what has a policy.
WORDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "project": ("projects",),
    "bucket": ("storage", "buckets"),
    "topic": ("pubsub", "topics"),
    "subscription": ("pubsub", "subscriptions"),
    "queue": ("tasks", "queues"),
    "secret": ("secrets",),
    "service": ("run", "services"),
    "job": ("run", "jobs"),
    "account": ("iam", "service-accounts"),
    "repository": ("artifacts", "repositories"),
}


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """What a grant is on; `name` as gcloud takes it."""

    kind: Kind
    name: str
    #: Of a queue, service, job or repository.
    location: str = ""

    @property
    def flags(self) -> dict[str, str]:
        if not self.location:
            return {}
        return {"location" if self.kind in ("queue", "repository") else "region": self.location}

    @property
    def listed_in(self) -> str:
        """The snapshot's list that it stands in."""
        if self.kind == "repository":
            return "repositories"
        return f"jobs {self.location}" if self.kind == "job" else f"{self.kind}s"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    resource: Resource
    role: str
    member: str


def policy_command(resource: Resource) -> tuple[str, ...]:
    """The gcloud words that read who may what on it."""
    flags = tuple(f"--{name}={value}" for name, value in resource.flags.items())
    return (*WORDS[resource.kind], "get-iam-policy", resource.name, *flags)


def grants_of(resource: Resource, policy: Mapping[str, Any]) -> Iterator[Grant]:
    """The unconditional bindings of one IAM policy."""
    for binding in policy.get("bindings", ()):
        if not binding.get("condition"):
            for member in binding.get("members", ()):
                yield Grant(resource, binding["role"], member)
