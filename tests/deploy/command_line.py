"""The command line on a project that is only the answers gcloud would give."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from deploy.cli import main
from deploy.command import Command
from deploy.faults import CannotDeploy
from shared.errors import NotFound
from tests.deploy.projects import NUMBER

WHERE = ("--project", "hub-stg", "--region", "asia-northeast1", "--gpu-region", "asia-southeast1", "--env", "stg")
PROD = ("--project", "hub-prod", "--region", "asia-northeast1", "--gpu-region", "asia-southeast1", "--env", "prod")
TOOLS = {"Google Cloud SDK": "528.0.0", "alpha": "1", "beta": "1"}
L4 = {"dimensionsInfos": [{"dimensions": {"region": "asia-southeast1"}, "details": {"value": "3"}}]}


class Project:
    """A project with nothing in it, that answers by gcloud's words; what changes it is written down."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self._answers = {
            "version": TOOLS,
            "projects describe": {"projectId": "hub-stg", "projectNumber": NUMBER, "lifecycleState": "ACTIVE"},
            "billing projects describe": {"billingEnabled": True},
            "beta quotas info describe": L4,
            **(answers or {}),
        }
        self.changes: list[str] = []

    def read(self, *arguments: str) -> Any:
        line = " ".join(arguments)
        if line.startswith("artifacts docker images describe"):
            raise NotFound("no such image")
        found = [answer for words, answer in self._answers.items() if line.startswith(words)]
        if found and isinstance(found[-1], Exception):
            raise found[-1]
        return found[-1] if found else {} if "get-iam-policy" in line else []

    def text(self, *arguments: str) -> str:
        raise CannotDeploy("not logged in")

    def run(self, command: Command) -> None:
        self.changes.append(command.title)


def deploy(cloud: Project, *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(arguments, out, cloud), out.getvalue()
