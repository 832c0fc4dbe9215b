"""One command's way through: whom it is for, what it may not start with, what it runs."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from deploy import checks, foundation
from deploy.apply import Runner
from deploy.command import Phase, Plan
from deploy.faults import CannotDeploy
from deploy.gcloud import Cloud
from deploy.live import Live
from deploy.options import settings_of
from deploy.promql import Metrics, Prometheus, monitoring
from deploy.revisions import services
from deploy.snapshot import snapshot
from deploy.source import current_version, source_digest, web_address
from deploy.target import UNKNOWN_NUMBER, Target
from deploy.web import bearer, call_json
from shared.errors import JobError


@dataclass(frozen=True)
class Session:
    cloud: Cloud
    runner: Runner
    target: Target
    asked: argparse.Namespace

    def live(self) -> Live:
        return snapshot(self.cloud, self.target)

    def run(self, plan: Plan) -> None:
        if not plan:
            self.runner.say("Nothing to do.")
        self.runner.apply(plan)

    def require(self, *faults: Iterable[str]) -> None:
        """Says every fault; raises CannotDeploy with the last one when there are any."""
        found = list(chain.from_iterable(faults))
        for fault in found[:-1]:
            self.runner.say(f"✗ {fault}")
        if found:
            raise CannotDeploy(found[-1])

    def require_place(self) -> None:
        """Tools, project, billing, permissions."""
        name = self.target.project
        described = self.cloud.read("projects", "describe", name)
        self.require(
            checks.gcloud_version(self.cloud),
            checks.project(described, self.target.env),
            checks.billing(self.cloud, name),
            checks.permissions(self._missing_permissions()),
            checks.values(self.target),
        )

    def require_gpu(self, live: Live) -> None:
        """The L4 and its quota. To ask, one API must be on: on a new project all are turned on here."""
        if self.asked.no_gpu_check:
            return
        if checks.QUOTA_API not in live.apis:
            self.runner.say("APIs are turned on first: without one of them the GPU's quota cannot be read.")
            self.runner.apply((Phase("APIs", tuple(foundation.apis(self.target, live))),))
        words = ("beta", "quotas", "info", "describe", checks.GPU_QUOTA, "--service=run.googleapis.com")
        found = self.runner.settled(lambda: self.cloud.read(*words, f"--project={self.target.project}"))
        self.require(checks.gpu(self.target, found))

    def require_stg(self) -> None:
        """Prod gets what stg has had for a while."""
        if self.target.env != "prod" or self.asked.force:
            return
        if not self.asked.stg_project:
            raise CannotDeploy("prod wants --stg-project, where this version has run, or --force.")
        self.require(self._stg_faults())

    def metrics(self) -> Metrics:
        url = getattr(self.asked, "promql_url", None)
        return Prometheus(url) if url else monitoring(self.cloud, self.target.project)

    def _stg_faults(self) -> Iterator[str]:
        stg = replace(self.target, project=self.asked.stg_project, env="stg")
        flags = (f"--region={stg.region}", f"--project={stg.project}")
        known = {kind: tuple(self.cloud.read("run", kind, "list", *flags)) for kind in ("services", "revisions")}
        running = services(stg, Live(known))
        since = datetime.now(UTC) - timedelta(hours=self.asked.stg_hours)
        for function in stg.resources.functions:
            service = running.get(function)
            revision = service.revisions.get(service.serving) if service else None
            if revision is None or revision.version != stg.version:
                found = f"version {revision.version}" if revision else "nothing"
                yield f"stg ({stg.project}) runs {found} for {function}: deploy {stg.version} there first, or --force."
                return
            if datetime.fromisoformat(revision.created) > since:
                yield (
                    f"stg ({stg.project}) has had version {stg.version} only since {revision.created}: wait until it "
                    f"has run for {self.asked.stg_hours:g} h, or --force."
                )
                return

    def _missing_permissions(self) -> list[str]:
        """None where they cannot be asked for: the first command that lacks one will say so."""
        url = f"https://cloudresourcemanager.googleapis.com/v1/projects/{self.target.project}:testIamPermissions"
        try:
            token = self.cloud.text("auth", "print-access-token")
            held = call_json(url, headers=bearer(token), body={"permissions": list(checks.PERMISSIONS)})
        except JobError:
            return []
        return [each for each in checks.PERMISSIONS if each not in held.get("permissions", ())]


def target_of(asked: argparse.Namespace, root: Path, number: str = UNKNOWN_NUMBER) -> Target:
    """Raises ValueError for a --set or a --version that cannot be."""
    version = asked.version or current_version(root)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", version):
        raise ValueError(f"--version {version}: it becomes a label, of lower case letters, digits, `-` and `_`")
    return Target(
        project=asked.project,
        number=number,
        region=asked.region,
        gpu_region=asked.gpu_region or asked.region,
        env=asked.env,
        version=version,
        source=source_digest(root),
        settings={
            **tomllib.loads((root / "deploy" / "settings.toml").read_text())[asked.env],
            **settings_of(asked.set),
        },
        secrets_dir=asked.secrets_dir,
        alert_email=asked.alert_email,
        billing_account=asked.billing_account,
        budget=asked.budget,
        repository=asked.repository or web_address(root),
    )


def _kept_settings(root: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads((root / "deploy" / "settings.toml").read_text())
