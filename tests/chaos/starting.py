"""Starts a local cloud with a front before every part of it, for short leases and many faults."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from local.assets import ensure_assets
from local.cloud import LocalCloud, local_cloud
from local.functions import ROOT, python_environment
from local.processes import Processes, wait_ready
from local.profile import RESULTS, Profile
from shared.resources import declared
from tests.chaos.calls import function_call, storage_call
from tests.chaos.faults import Plan
from tests.chaos.http_front import HttpFront, Naming
from tests.chaos.hub import Hub
from tests.chaos.journal import Journal
from tests.chaos.media import Media
from tests.chaos.receiver import Receiver
from tests.chaos.rpc_front import RpcFront
from tests.e2e.driver import Driver

_LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
_RPC: Final = ("pubsub", "tasks", "jobs")

Fronts = dict[str, HttpFront | RpcFront]


@contextmanager
def chaos_hub(**changes: Any) -> Iterator[Hub]:
    """Start it, warm; `changes` are the Profile's. Everything of it is gone at the end."""
    plan, journal = Plan(), Journal()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "faults").mkdir()
        receiver = stack.enter_context(Receiver())
        storage_front = HttpFront(plan, storage_call, on_answer=journal.note, on_lost=journal.lose)
        fronts: Fronts = {"storage": stack.enter_context(storage_front)}
        for part in _RPC:
            fronts[part] = stack.enter_context(RpcFront(plan, part))
        for function in declared().functions:
            fronts[function] = stack.enter_context(HttpFront(plan, _naming(function)))
        nursery = folder / "nursery"
        _start_nursery(nursery, stack.enter_context(Processes()), folder)
        profile = _profile(fronts, nursery, folder, receiver, changes)
        cloud = stack.enter_context(local_cloud(profile))
        _connect(cloud, fronts)
        driver = Driver(cloud, folder / "faults")
        yield Hub(cloud, driver, plan, journal, receiver, Media.make(folder), folder, stack)


def _connect(cloud: LocalCloud, fronts: Fronts) -> None:
    for name, front in fronts.items():
        port = cloud.endpoints.functions.get(name) or getattr(cloud.endpoints, name)
        if isinstance(front, RpcFront):
            front.connect(port)
        else:
            front.upstream = port


def _naming(function: str) -> Naming:
    return lambda method, url, headers, body, peer: function_call(function, method, url, body, peer)


def _profile(fronts: Fronts, nursery: Path, folder: Path, receiver: Receiver, changes: dict[str, Any]) -> Profile:
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
        # Incidents kill pods for as long as the run lasts; waits that doubled each time would outlast every deadline.
        "gke_backoff": 1,
        "sweep_every": 1,
        "commands": {
            "gpu": ("python", "-I", "-S", _LAUNCH, "gpu", "drain"),
            "cpu": ("python", "-I", "-S", _LAUNCH, "cpu"),
            "gke": ("python", "-I", "-S", _LAUNCH, "gpu", "serve"),
        },
        "fronts": {name: front.port for name, front in fronts.items()},
        **changes,
    }
    extra = {
        "FAULTS": str(folder / "faults"),
        "NURSERY": str(nursery),
        "SOURCE_BUCKETS": RESULTS,
        "MAX_SOURCE_BYTES": str(2**20),
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
    wait_ready(child, path.exists, within_s=180)
