"""A local cloud as the end-to-end tests drive it: upload, wait on conditions with deadlines, break things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from standardwebhooks import Webhook

from local.cloud import LocalCloud
from local.functions import ROOT
from local.upload import upload
from shared.job import Job
from tests.fakes.loopback import Receiver
from tests.waiting import eventually


@dataclass(frozen=True)
class Driver:
    cloud: LocalCloud
    #: Where the faulty worker looks for what it shall do (tests/e2e/faulty_worker.py).
    faults: Path
    #: What stands for n8n's alert workflow, where there is one.
    n8n: Receiver | None = None

    def upload(self, path: Path, name: str | None = None, **metadata: str) -> str:
        return upload(self.cloud, path, name=name, metadata=metadata)

    def job(self, job_id: str) -> Job | None:
        seen = self.cloud.services.store.get(job_id)
        return seen.job if seen else None

    def until(self, job_id: str, is_so: Callable[[Job], bool], what: str, *, within_s: float = 90.0) -> Job:
        def look() -> Job | None:
            job = self.job(job_id)
            return job if job and is_so(job) else None

        return eventually(look, lambda: f"{what} (job {job_id} is {self.job(job_id)})", within_s=within_s)

    def ended(self, job_id: str, *, within_s: float = 90.0) -> Job:
        """The job once it is terminal and nothing is left to do for it."""
        job = self.until(job_id, lambda job: job.state.is_terminal, "a terminal state", within_s=within_s)
        eventually(
            lambda: job_id not in set(self.cloud.services.store.open_jobs()),
            "its marker is gone",
            within_s=30,
        )
        return job

    def running(self, job_id: str, *, within_s: float = 60.0) -> Job:
        return self.until(job_id, lambda job: job.state == "running", "running", within_s=within_s)

    def announced(self, path: Path, *, fault: str | None = None, times: int = 1, **body: object) -> str:
        """Upload through POST /v1/uploads, whose answer names the job before it exists: time to put a fault in."""
        asked = {"filename": path.name, "content_type": "application/octet-stream", **body}
        ticket = self.api("POST", "/v1/uploads", json=asked).json()
        if fault is not None:
            self.fault(ticket["job_id"], fault, times)
        httpx.put(ticket["upload_url"], content=path.read_bytes(), timeout=60, trust_env=False).raise_for_status()
        job_id: str = ticket["job_id"]
        return job_id

    def api(self, method: str, path: str, **more: object) -> httpx.Response:
        headers = {"X-API-Key": self.cloud.profile.api_key, **more.pop("headers", {})}  # type: ignore[dict-item]
        return httpx.request(
            method,
            f"{self.cloud.url}{path}",
            headers=headers,
            timeout=90,
            trust_env=False,
            **more,  # type: ignore[arg-type]
        )

    def hubctl(self, *arguments: str) -> str:
        """What the command prints."""
        environment = {**os.environ, "HUB_URL": self.cloud.url, "HUB_API_KEY": self.cloud.profile.api_key}
        command = [sys.executable, "-m", "hubctl", *arguments]
        run = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def artifact(self, job: Job, name: str) -> bytes:
        assert job.outcome is not None
        bucket, _, folder = job.outcome.folder.removeprefix("gs://").partition("/")
        stored = self.cloud.services.objects.read(bucket, folder + name)
        assert stored is not None, name
        return stored.data

    def workers(self, which: str = "workers.gpu") -> list[psutil.Process]:
        """This cloud's worker processes that are alive, told from another's by their environment."""
        mine = f"127.0.0.1:{self.cloud.endpoints.jobs}"
        found = []
        for process in psutil.process_iter():
            try:
                is_worker = any(which in part for part in process.cmdline())
                if is_worker and process.environ().get("RUN_EMULATOR_HOST") == mine:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def signal_workers(self, number: signal.Signals, which: str = "faulty_worker") -> None:
        for process in self.workers(which):
            # One may end by itself meanwhile.
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def fault(self, job_id: str, kind: str, times: int = 1_000) -> None:
        """The next `times` attempts at this job meet this fault."""
        folder = self.faults / job_id
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(times):
            (folder / f"{kind}.{number:04d}").touch()

    def mend(self, job_id: str) -> None:
        for each in (self.faults / job_id).glob("*"):
            each.unlink(missing_ok=True)


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """What the receiver's own library makes of it; it refuses a wrong signature or an old timestamp."""
    return Webhook(secret).verify(body, dict(headers))
