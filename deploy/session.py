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
from deploy.faults import CannotDeploy, NotSettledYet
from deploy.gcloud import Cloud
from deploy.live import Live
from deploy.options import settings_of
from deploy.promql import Metrics, Prometheus, monitoring
from deploy.revisions import Service, services
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
        return self.runner.settled(lambda: snapshot(self.cloud, self.target))

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
        """Prod gets what stg has had for a while, or what it has itself."""
        if self.target.env != "prod" or self.asked.force or self._is_there():
            return
        if not self.asked.stg_project:
            raise CannotDeploy("prod wants --stg-project, where this version has run, or --force.")
        self.require(self._stg_faults())

    def metrics(self) -> Metrics:
        url = getattr(self.asked, "promql_url", None)
        return Prometheus(url) if url else monitoring(self.cloud, self.target.project)

    def _is_there(self) -> bool:
        """Does every function that stands here serve this version, or try it? Then stg was asked before."""
        try:
            known = self._functions(self.target)
        except NotSettledYet:
            # A new project: Cloud Run is not turned on.
            return False
        version = self.target.version
        return bool(known) and all(
            version in (each.version_of(each.serving), each.version_of(each.canary)) for each in known.values()
        )

    def _stg_faults(self) -> Iterator[str]:
        """A release may follow another in stg: what counts is that this version has stood there, and for how long."""
        stg = replace(self.target, project=self.asked.stg_project, env="stg")
        known = self._functions(stg)
        since = datetime.now(UTC) - timedelta(hours=self.asked.stg_hours)
        for function in stg.resources.functions:
            revisions = known[function].revisions.values() if function in known else ()
            made = [
                datetime.fromisoformat(each.created) for each in revisions if each.ready and each.version == stg.version
            ]
            if not made:
                yield (
                    f"stg ({stg.project}) has no revision of version {stg.version} for {function} that is ready: "
                    "deploy it there first, or --force."
                )
                return
            if min(made) > since:
                yield (
                    f"stg ({stg.project}) has had version {stg.version} only since {min(made):%Y-%m-%d %H:%M %Z}: wait "
                    f"until that is {self.asked.stg_hours:g} h ago, or --force."
                )
                return

    def _functions(self, target: Target) -> dict[str, Service]:
        flags = (f"--region={target.region}", f"--project={target.project}")
        kinds = ("services", "revisions")
        return services(target, Live({kind: tuple(self.cloud.read("run", kind, "list", *flags)) for kind in kinds}))

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
    if asked.secrets_dir and not asked.secrets_dir.is_dir():
        raise ValueError(f"--secrets-dir {asked.secrets_dir}: there is no such folder")
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
