"""POST /v1/jobs with everything real behind it, side by side with a function that answers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from bench.report import Figure, publish
from local.assets import ensure_assets
from local.cloud import LocalCloud, local_cloud
from local.functions import ROOT, python_environment
from local.ports import Ports
from local.processes import Processes, tcp_ready, wait_ready
from local.profile import PROJECT, REGION, UPLOADS, Profile

_CLIENTS: Final = (1, 10, 50)
_SECONDS: Final = 8.0
#: Seconds within which 99 of 100 callers have their 202, with 50 clients: the promise, and the old hub's own time.
_MUST, _AIM = 1.0, 0.150


@dataclass(frozen=True, slots=True)
class Load:
    rate: float
    p50: float
    p99: float


def main() -> bool:
    """Measure, print, write build/bench/ingest.json; answers whether the promise is kept."""
    assets = ensure_assets()
    figures = []
    with (
        local_cloud(Profile(model=assets.model, sweep_every=3600, grace=3600)) as cloud,
        _floor() as floor_url,
    ):
        name = "bench/speech.mp3"
        cloud.services.objects.write(UPLOADS, name, b"ID3" + bytes(4093), content_type="audio/mpeg")
        headers = {"X-API-Key": cloud.profile.api_key, "Content-Type": "application/json"}
        body = json.dumps({"source": f"gs://{UPLOADS}/{name}", "operations": ["probe"]})
        with _paused(cloud):
            measure(f"{cloud.url}/v1/jobs", 10, 2.0, headers, body)
            for clients in _CLIENTS:
                floor = measure(floor_url, clients, _SECONDS / 2, headers, body)
                ingest = measure(f"{cloud.url}/v1/jobs", clients, _SECONDS, headers, body)
                figures += _figures(clients, ingest, floor)
    return publish("ingest", "POST /v1/jobs, beside a function that answers 202 at once (floor)", figures)


def measure(url: str, clients: int, seconds: float, headers: dict[str, str], body: str) -> Load:
    """One closed loop; raises RuntimeError when anything but 202 was answered."""
    command = [sys.executable, "-m", "bench.closed_loop", url, str(clients), str(seconds)]
    asked = json.dumps({"headers": headers, "body": body})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, cwd=ROOT)
    result = json.loads(done.stdout)
    wrong = sorted({status for status, _ in result["latencies"]} - {202})
    if wrong:
        raise RuntimeError(f"{url} answered {wrong}")
    times = sorted(seconds for _, seconds in result["latencies"])
    return Load(
        len(times) / result["seconds"], times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
    )


def _figures(clients: int, ingest: Load, floor: Load) -> list[Figure]:
    is_promised = clients == max(_CLIENTS)
    who = f"{clients} client{'s' if clients > 1 else ''}"
    return [
        Figure(f"ingest p50, {who}", ingest.p50, "s", "lower"),
        Figure(
            f"ingest p99, {who}",
            ingest.p99,
            "s",
            "lower",
            must=_MUST if is_promised else None,
            aim=_AIM if is_promised else None,
        ),
        Figure(f"ingest rate, {who}", ingest.rate, "requests/s", "higher"),
        Figure(f"floor p50, {who}", floor.p50, "s", "lower"),
        Figure(f"floor p99, {who}", floor.p99, "s", "lower"),
        Figure(f"floor rate, {who}", floor.rate, "requests/s", "higher"),
        Figure(f"ingest / floor p50, {who}", ingest.p50 / floor.p50, "ratio", "lower"),
    ]


@contextmanager
def _paused(cloud: LocalCloud) -> Iterator[None]:
    """The jobs stay queued, so that only their submission is measured."""
    channel = grpc.insecure_channel(f"127.0.0.1:{cloud.endpoints.tasks}")
    client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
    client.pause_queue(name=f"projects/{PROJECT}/locations/{REGION}/queues/cpu-tasks")
    yield
    channel.close()


@contextmanager
def _floor() -> Iterator[str]:
    source = Path(__file__).with_name("floor") / "main.py"
    with Ports() as ports, Processes() as processes:
        port = ports.take()
        argv = [sys.executable, "-m", "functions_framework", f"--source={source}", "--target=floor"]
        child = processes.start(
            [*argv, "--host=127.0.0.1", f"--port={port}"],
            env={**python_environment(), "WORKERS": "1", "THREADS": "80"},
            log=ROOT / "build" / "bench" / "floor.log",
            name="floor",
        )
        wait_ready(child, tcp_ready(port), within_s=30)
        yield f"http://127.0.0.1:{port}/"
