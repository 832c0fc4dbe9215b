"""The real Cloud Run clients on the local stand-in, with one job whose tasks run what a test says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

from local.execution import LocalJob
from local.jobs import CloudRunJobs
from local.processes import Processes
from tests.waiting import eventually

PARENT = "projects/p/locations/r"
JOB = f"{PARENT}/jobs/worker"
#: Writes down its arguments and environment, then does as CODE says.
WORKER = """
import json, os, sys, time
env = {name: value for name, value in os.environ.items() if name not in ("LOCAL_CLOUD_LEASH", "TMPDIR")}
name = "-".join((os.environ["CLOUD_RUN_TASK_INDEX"], os.environ["CLOUD_RUN_TASK_ATTEMPT"]))
with open(f"{os.environ['SEEN']}/{name}.{os.getpid()}", "w") as file:
    json.dump({"argv": sys.argv[1:], "env": env}, file)
os.rename(file.name, os.path.splitext(file.name)[0])
print("task", name, flush=True)
exec(os.environ.get("CODE", ""))
"""
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(os.environ['SEEN'] + '/deaf', 'w')"


@dataclass(frozen=True)
class CloudRun:
    service: CloudRunJobs
    jobs: run_v2.JobsClient
    executions: run_v2.ExecutionsClient
    seen: Path

    def run(self, code: str = "", **overrides: Any) -> Any:
        """Start an execution whose task runs this Python; answers the client's operation."""
        env = [run_v2.EnvVar(name="CODE", value=code)]
        container = run_v2.RunJobRequest.Overrides.ContainerOverride(env=env, **overrides.pop("container", {}))
        request = run_v2.RunJobRequest(name=JOB, overrides={"container_overrides": [container], **overrides})
        return self.jobs.run_job(request=request)

    def execution(self, operation: Any) -> run_v2.Execution:
        return self.executions.get_execution(name=operation.metadata.name)

    def ended(self, operation: Any) -> run_v2.Execution:
        eventually(lambda: self.execution(operation).completion_time)
        return self.execution(operation)

    def tries(self) -> list[str]:
        return sorted(path.name for path in self.seen.iterdir() if path.name.count("-") == 1 and not path.suffix)

    def saw(self, task: str = "0-0") -> dict[str, Any]:
        eventually((self.seen / task).exists)
        return dict(json.loads((self.seen / task).read_text()))


@contextmanager
def cloud_run(folder: Path, *, grace_s: float = 5, max_running: int | None = None, **fields: Any) -> Iterator[CloudRun]:
    """The service with that one job; LocalJob's fields may be given."""
    seen = folder / "seen"
    seen.mkdir()
    env = {"SEEN": str(seen), "BASE": "1"}
    argv = (sys.executable, "-S", "-c", WORKER)
    job = LocalJob("worker", argv, **{"env": env, "max_retries": 0, "args": ("drain",), **fields})
    with (
        Processes() as processes,
        CloudRunJobs(
            processes, project="p", region="r", jobs=[job], log_dir=folder, grace_s=grace_s, max_running=max_running
        ) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        jobs = run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel))
        executions = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))
        yield CloudRun(service, jobs, executions, seen)


def condition(execution: run_v2.Execution) -> tuple[str, str]:
    (completed,) = execution.conditions
    assert completed.type_ == "Completed"
    return completed.state.name, completed.execution_reason.name
