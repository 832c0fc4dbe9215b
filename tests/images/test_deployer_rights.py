"""What docs/images.md gives to the account that deploys is what a deployment calls, read from the deployment itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from deploy import checks, cleanup, phases
from deploy.command import Command
from deploy.foundation import apis
from deploy.live import Live
from deploy.options import parser
from deploy.session import target_of
from deploy.snapshot import snapshot
from deploy.target import Target
from tests.wiring.tree import ROOT

#: gcloud's command group → the role that a deployer needs for what we call of it.
ROLES = {
    "artifacts": "artifactregistry.admin",
    "container": "container.developer",
    "eventarc": "eventarc.admin",
    "iam": "iam.serviceAccountAdmin",
    "logging": "logging.configWriter",
    "monitoring": "monitoring.editor",
    "projects": "resourcemanager.projectIamAdmin",
    "pubsub": "pubsub.admin",
    "run": "run.admin",
    "scheduler": "cloudscheduler.admin",
    "secrets": "secretmanager.admin",
    "services": "serviceusage.serviceUsageAdmin",
    "storage": "storage.admin",
    "tasks": "cloudtasks.admin",
}
#: What no command's name says: acting as the functions' accounts, building them, the GPU's quota.
BEHIND = {"iam.serviceAccountUser", "cloudbuild.builds.editor", "cloudquotas.viewer"}
#: The build's own log, and its bills of materials.
PIPELINE = {"logging.logWriter", "containeranalysis.notes.editor", "containeranalysis.occurrences.editor"}


@dataclass(frozen=True)
class Bare:
    """A project with every API on and nothing in it, which notes what it is asked."""

    target: Target
    asked: list[tuple[str, ...]]

    def read(self, *arguments: str) -> Any:
        self.asked.append(arguments)
        if arguments[:2] == ("services", "list"):
            enable = [command.arguments for command in apis(self.target, Live())]
            names = [each for arguments in enable for each in arguments if str(each).endswith(".googleapis.com")]
            return [{"name": name} for name in (*names, "container.googleapis.com")]
        return {} if "get-iam-policy" in arguments else []

    def text(self, *arguments: str) -> str:
        raise AssertionError(arguments)

    def run(self, command: Command) -> None:
        raise AssertionError(command)


def documented() -> set[str]:
    [roles] = re.findall(r"for role in (.*?)\n  do\n", (ROOT / "docs/images.md").read_text(), re.DOTALL)
    return {word for word in roles.split() if word != "\\"}


def test_roles_are_those_of_the_commands_that_run() -> None:
    where = "up --project p --region r --gpu-region g --env stg --version v"
    target = target_of(parser().parse_args(where.split()), ROOT)
    cloud = Bare(target, [])
    live = snapshot(cloud, target)
    plan = (*phases.up(target, Live()), *phases.canary(target, Live()), *cleanup.cleanup(target, live, frozenset()))
    run = [command.arguments for phase in plan for command in phase.commands if command.tool == "gcloud"]
    groups = {next(str(word) for word in words if word not in ("alpha", "beta")) for words in (*run, *cloud.asked)}
    assert groups == set(ROLES)
    assert documented() == set(ROLES.values()) | BEHIND | PIPELINE


def test_roles_are_those_that_a_deployment_asks_for_first() -> None:
    asked = {role.removeprefix("roles/") for role in checks.PERMISSIONS.values()}
    assert asked <= documented()
    assert documented() - asked == PIPELINE | {"container.developer"}
