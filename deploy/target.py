"""Where a deployment goes, and what everything is called there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from deploy.command import Argument, Command, File, Flag, SecretValue, gcloud
from shared.resources import Resources, declared

Environment = Literal["stg", "prod"]
APP: Final = "nca-fanout"
#: Stands for the number where no project was asked (`plan` without --project-number).
UNKNOWN_NUMBER: Final = "PROJECT_NUMBER"

Agent = Literal["pubsub", "storage", "notifications"]
#: Google's own accounts that act for a project. https://cloud.google.com/iam/docs/service-agents
_AGENTS: Final[Mapping[Agent, str]] = {
    "pubsub": "gcp-sa-pubsub",
    "storage": "gs-project-accounts",
    "notifications": "gcp-sa-monitoring-notification",
}


@dataclass(frozen=True)
class Target:
    """One environment in one project, and the version that shall run there."""

    project: str
    number: str
    region: str
    gpu_region: str
    env: Environment
    #: Also a label: lower case letters, digits, `-` and `_`.
    version: str
    #: Digest of what functions are built from: another one means new revisions.
    source: str
    #: More settings, by their environment names.
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets_dir: Path | None = None
    #: Who is mailed when the relay itself is down.
    alert_email: str | None = None
    billing_account: str | None = None
    #: A month's budget, in the billing account's currency.
    budget: int | None = None
    #: Below which address the repository's files can be read: links to runbooks.
    repository: str = "REPOSITORY"
    resources: Resources = field(default_factory=declared)

    @cached_property
    def labels(self) -> dict[str, str]:
        return {"env": self.env, "app": APP}

    @cached_property
    def invoker(self) -> str:
        """The account whose tokens pushes, tasks and the scheduler carry."""
        sweep = next(iter(self.resources.scheduler.values()))
        return next(name for name, each in self.resources.accounts.items() if sweep.calls in each.calls)

    @cached_property
    def builder(self) -> str:
        """The account that builds: the only one that may write images."""
        return next(
            name for name, each in self.resources.accounts.items() if "roles/artifactregistry.writer" in each.project
        )

    def account(self, name: str) -> str:
        return f"{name}@{self.project}.iam.gserviceaccount.com"

    def agent(self, agent: Agent) -> str:
        return f"service-{self.number}@{_AGENTS[agent]}.iam.gserviceaccount.com"

    def bucket(self, name: str) -> str:
        return f"{self.project}-{self.resources.buckets[name].suffix}"

    def service(self, function: str) -> str:
        return function.replace("_", "-")

    def url(self, function: str) -> str:
        """https://cloud.google.com/run/docs/triggering/https-request#deterministic"""
        return f"https://{self.service(function)}-{self.number}.{self.region}.run.app"

    def job_region(self, job: str) -> str:
        return self.gpu_region if self.resources.jobs[job].gpu else self.region

    def image(self, name: str) -> str:
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.resources.images.repository}/{name}"

    def file(self, name: str, text: str) -> File:
        """Named after what is in it, too: two deployments from one folder must not read each other's."""
        path = Path("build", "deploy", self.project, name)
        return File(path.with_suffix(f".{digest(text)}{path.suffix}"), text)

    def gcloud(
        self,
        *words: Argument,
        about: str = "",
        lane: str = "",
        files: tuple[File, ...] = (),
        secret: SecretValue | None = None,
        more: Mapping[str, Flag] | None = None,
        **flags: Flag,
    ) -> Command:
        return gcloud(self.project, *words, about=about, lane=lane, files=files, secret=secret, more=more, **flags)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def digest(*parts: str) -> str:
    """Ten characters that change when any of the parts does; fits a label."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
