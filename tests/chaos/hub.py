"""A whole local cloud with a front before every part, where faults are put in, and eyes of its own behind them."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from local.assets import ensure_assets
from local.cloud import LocalCloud, local_cloud
from local.functions import ROOT, python_environment
from local.processes import Processes, wait_ready
from local.profile import RESULTS, Profile
from shared.job import Job
from shared.resources import declared
from tests.chaos.calls import function_call, storage_call
from tests.chaos.faults import Fault, Plan
from tests.chaos.http_front import HttpFront
from tests.chaos.journal import Journal
from tests.chaos.media import Media
from tests.chaos.receiver import Receiver
from tests.chaos.rpc_front import RpcFront
from tests.e2e.driver import Driver
from tests.waiting import eventually

_LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
_RPC: Final = ("pubsub", "tasks", "jobs")


@dataclass
class Hub:
    """One local cloud, warm for many stories."""

    cloud: LocalCloud
    driver: Driver
    plan: Plan
    journal: Journal
    receiver: Receiver
    media: Media
    fronts: dict[str, HttpFront | RpcFront]
    folder: Path
    #: Jobs whose promises are looked at, by their ids.
    asked: dict[str, Asked] = field(default_factory=dict)

    def put(self, *faults: Fault) -> None:
        self.plan.add(*faults)

    def happen(self, job_id: str, kind: str, times: int = 1) -> None:
        """The next `times` attempts at this job meet this (tests.chaos.worker.KINDS)."""
        self.driver.fault(job_id, kind, times)

    def note(self, job_id: str, **what: Any) -> str:
        """This job was accepted: from now on the promises are due to it."""
        self.asked[job_id] = Asked(job_id, **what)
        return job_id

    def call(self, method: str, path: str, *, within_s: float = 40.0, **more: Any) -> httpx.Response:
        """As a client does that knows how to try again: a broken connection or 5xx is asked anew, with the same key."""

        def ask() -> httpx.Response | None:
            try:
                answer = self.driver.api(method, path, **more)
            except httpx.TransportError:
                return None
            return answer if answer.status_code < 500 and answer.status_code != 429 else None

        return eventually(ask, f"an answer to {method} {path}", within_s=within_s)

    def job(self, job_id: str) -> Job | None:
        return self.driver.job(job_id)

    def reset(self) -> None:
        """No faults any more; what happened stays in the journal."""
        self.plan.clear()
        for each in self.folder.glob("faults/*"):
            shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)


@dataclass(frozen=True)
class Asked:
    """One job that was accepted, and how it may end."""

    job_id: str
    #: The states that its own input allows; whatever happens to it, the fifth attempt may end as a dead letter.
    ends: frozenset[str] = frozenset({"succeeded"})
    #: The receiver's path, when a webhook was asked for.
    hook: str | None = None
    #: Of the source, when the checksum engine reads it.
    sha256: str | None = None
    #: May a passing fault use all attempts up?
    may_die: bool = True
    is_cancelled: bool = False
    redrives: int = 0


@contextmanager
def chaos_hub(**changes: Any) -> Iterator[Hub]:
    """Start it, warm; `changes` are the Profile's. Everything of it is gone at the end."""
    plan, journal = Plan(), Journal()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "faults").mkdir()
        receiver = stack.enter_context(Receiver())
        fronts: dict[str, HttpFront | RpcFront] = {
            "storage": stack.enter_context(HttpFront(plan, storage_call, on_answer=journal.note))
        }
        for part in _RPC:
            fronts[part] = stack.enter_context(RpcFront(plan, part))
        for function in declared().functions:
            fronts[function] = stack.enter_context(HttpFront(plan, _naming(function)))
        nursery = folder / "nursery"
        _start_nursery(nursery, stack.enter_context(Processes()), folder)
        profile = _profile(fronts, nursery, folder, receiver, changes)
        cloud = stack.enter_context(local_cloud(profile))
        connect(cloud, fronts)
        driver = Driver(cloud, folder / "faults")
        yield Hub(cloud, driver, plan, journal, receiver, Media.make(folder), fronts, folder)


def connect(cloud: LocalCloud, fronts: dict[str, HttpFront | RpcFront]) -> None:
    for name, front in fronts.items():
        port = cloud.endpoints.functions.get(name) or getattr(cloud.endpoints, name)
        if isinstance(front, RpcFront):
            front.connect(port)
        else:
            front.upstream = port


def _naming(function: str) -> Any:
    return lambda method, url, headers, body, peer: function_call(function, method, url, body, peer)


def _profile(
    fronts: dict[str, HttpFront | RpcFront], nursery: Path, folder: Path, receiver: Receiver, changes: dict[str, Any]
) -> Profile:
    values = {
        "model": ensure_assets().model,
        "max_gpu_executions": 2,
        "worker_concurrency": 4,
        "cpu_concurrency": 8,
        "beat": 0.4,
        # Storage tells time in whole seconds: a lease of one could look expired the moment it was written.
        "lease": 2,
        "slot": 3,
        "slot_start": 4,
        "idle": 10,
        "grace": 2,
        "sweep_every": 1,
        "commands": {
            "gpu": ("python", "-I", "-S", _LAUNCH, "gpu", "drain"),
            "cpu": ("python", "-I", "-S", _LAUNCH, "cpu"),
        },
        "fronts": {name: front.port for name, front in fronts.items()},
        **changes,
    }
    extra = {
        "FAULTS": str(folder / "faults"),
        "NURSERY": str(nursery),
        "TMPDIR": str(folder),
        "SOURCE_BUCKETS": RESULTS,
        "PROGRESS_SECONDS": "0.3",
        "N8N_ALERT_URL": receiver.url("/n8n"),
        "SLACK_WEBHOOK_URL": receiver.url("/slack"),
        **changes.get("extra", {}),
    }
    return Profile(**{**values, "extra": extra})


def _start_nursery(path: Path, processes: Processes, folder: Path) -> None:
    argv = ("nice", "-n", "15", sys.executable, "-m", "tests.chaos.nursery", str(path))
    env = {**python_environment(), "FAULTS": str(folder / "faults")}
    child = processes.start(argv, env=env, log=folder / "nursery.log", name="nursery", cwd=ROOT)
    wait_ready(child, path.exists, within_s=60)
