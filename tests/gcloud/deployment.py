"""deploy.sh run on the stand-in, and what it did there."""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.resources import declared
from tests.gcloud.cloud import Cloud
from tests.gcloud.project import BILLING, put_image

ROOT = Path(__file__).resolve().parents[2]
#: What an operator adds to say whom to mail, and how much a month may cost.
OPTIONS = ("--alert-email=ops@example.com", f"--billing-account={BILLING.rpartition('/')[2]}", "--budget=300")


@dataclass(frozen=True, repr=False)
class Outcome:
    code: int
    out: str
    #: Requests that were meant to change something.
    changes: tuple[str, ...]
    #: gcloud's command lines.
    calls: tuple[str, ...]

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n" + "\n".join(self.changes)


@dataclass
class Deployment:
    cloud: Cloud
    environment: dict[str, str]
    #: A folder with the tools that deploy.sh finds first.
    tools: Path
    folder: Path
    region: str = "asia-northeast1"
    gpu_region: str = "us-central1"
    version: str = "v1"

    def run(self, command: str, *arguments: str, version: str = "", **environment: str) -> Outcome:
        """`./deploy.sh COMMAND --project … --region … --env stg … ARGUMENTS`, with its answer read to the end."""
        self.forget()
        where = {
            "project": self.cloud.project,
            "region": self.region,
            "gpu-region": self.gpu_region,
            "env": "stg",
            "version": version or self.version,
        }
        path = f"{self.tools}:{Path(sys.executable).parent}:{self.environment['PATH']}"
        done = subprocess.run(
            [
                ROOT / "deploy.sh",
                *command.split(),
                *(f"--{name}={value}" for name, value in where.items()),
                *OPTIONS,
                *arguments,
            ],
            cwd=self.folder,
            env={**self.environment, "PATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, tuple(self.cloud.changes()), tuple(self.calls()))

    def build_images(self, version: str) -> None:
        """As Cloud Build does, between `prepare` and `up`."""
        images = declared().images
        for name in images.names:
            put_image(self.cloud, self.region, images.repository, name, version)

    def forget(self) -> None:
        """What was asked so far."""
        self.cloud.requests.clear()
        (self.tools / "calls").unlink(missing_ok=True)

    def calls(self) -> list[str]:
        calls = self.tools / "calls"
        return [" ".join(ast.literal_eval(line)) for line in calls.read_text().splitlines()] if calls.exists() else []

    # Names of what is in the project.

    def key(self, path: str) -> str:
        """The store's for `api/collection/name…` of the project, or `api/REGION/collection/name…`."""
        api, region, *rest = path.split("/")
        place = [f"locations/{region}"] if "-" in region else [region]
        return "/".join([api, "projects", self.cloud.project, *place, *rest])

    def at(self, path: str) -> dict[str, Any]:
        return self.cloud.store.get(self.key(path))

    def names(self, collection: str) -> set[str]:
        keys = (key.rpartition("/") for key in self.cloud.store.resources)
        return {name for parent, _, name in keys if parent == self.key(collection)}

    def bucket(self, name: str) -> str:
        return f"{self.cloud.project}-{declared().buckets[name].suffix}"

    def account(self, name: str) -> str:
        return f"{name}@{self.cloud.project}.iam.gserviceaccount.com"

    def member(self, name: str) -> str:
        return f"serviceAccount:{self.account(name)}"

    def agent(self, domain: str) -> str:
        return f"serviceAccount:service-{self.cloud.number}@{domain}.iam.gserviceaccount.com"

    def url(self, function: str) -> str:
        return f"https://{function.replace('_', '-')}-{self.cloud.number}.{self.region}.run.app"

    def secret(self, name: str, version: str) -> str:
        payload = self.at(f"secretmanager/secrets/{name}/versions/{version}")["payload"]
        return base64.b64decode(payload["data"]).decode()
