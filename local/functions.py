"""Every function under the real functions-framework, as the platform runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local.processes import Child, Processes, tcp_ready, wait_ready
from shared.resources import Function

ROOT: Final = Path(__file__).resolve().parent.parent


def start(
    processes: Processes, name: str, declared: Function, *, port: int, environment: Mapping[str, str], log: Path
) -> Child:
    """Start one function on a loopback port; it answers once `wait_until_ready` returns."""
    argv = [
        sys.executable,
        "-m",
        "functions_framework",
        f"--source={ROOT / 'main.py'}",
        f"--target={name}",
        "--host=127.0.0.1",
        f"--port={port}",
    ]
    env = {
        **python_environment(),
        **environment,
        "WORKERS": str(declared.workers),
        "THREADS": str(declared.concurrency),
        "CLOUD_RUN_TIMEOUT_SECONDS": str(declared.timeout),
    }
    return processes.start(argv, env=env, log=log, name=name, cwd=ROOT)


def wait_until_ready(child: Child, port: int) -> None:
    wait_ready(child, tcp_ready(port), within_s=60)


def python_environment() -> dict[str, str]:
    """What a Python program of ours needs from this process's environment, and nothing else of it."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
