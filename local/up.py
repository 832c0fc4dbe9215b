"""python -m local up: keep a local cloud running until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace

from rich.console import Console

from local.cloud import LocalCloud, local_cloud
from local.needs import model_folder
from local.profile import PROJECT, REGION, UPLOADS, Profile


def up(arguments: Namespace) -> int:
    """0 after Ctrl-C. Raises BadUsage, JobError."""
    console = Console()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    profile = Profile(
        model=model_folder(arguments.model),
        enable_gke_route=arguments.gke,
        max_gpu_executions=arguments.gpu_slots,
        monitoring=arguments.monitoring,
        **({"api_key": arguments.key} if arguments.key else {}),
    )
    with local_cloud(profile) as cloud:
        _describe(cloud, console)
        stop.wait()
        console.print("stopping …")
    return 0


def _describe(cloud: LocalCloud, console: Console) -> None:
    ends = cloud.endpoints
    lines = [
        "",
        "The local cloud is up; Ctrl-C stops it. In another terminal:",
        "",
        f"  export HUB_URL={cloud.url}",
        f"  export HUB_API_KEY={cloud.profile.api_key}",
        f"  export HUB_LOGS={cloud.logs}",
        "",
        f"  API            {cloud.url}/openapi.json",
        f"  uploads        gs://{UPLOADS} at {ends.url(ends.storage)}",
        f"  Pub/Sub        127.0.0.1:{ends.pubsub} (project {PROJECT})",
        f"  Cloud Tasks    127.0.0.1:{ends.tasks} (location {REGION})",
        f"  Cloud Run Jobs 127.0.0.1:{ends.jobs}",
        *(f"  {name:<14} {ends.function(name)}" for name in ends.functions if name != "ingest"),
        *(
            (f"  Prometheus     {ends.url(ends.metrics)}", f"  Alertmanager   {ends.url(ends.alertmanager)}")
            if cloud.profile.monitoring
            else ()
        ),
        f"  logs           {cloud.logs}",
        "",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
