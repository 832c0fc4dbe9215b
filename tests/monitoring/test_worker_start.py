"""A worker that cannot begin says why in the one line that an alert is counted from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from local.functions import python_environment
from local.profile import Endpoints, Profile, environment
from shared.resources import declared
from tests.wiring.tree import ROOT


def test_gpu_worker_without_its_model_ends_as_misconfigured(tmp_path: Path) -> None:
    ports = dict.fromkeys(declared().functions, 9)
    endpoints = Endpoints(pubsub=9, storage=9, tasks=9, jobs=9, metrics=9, eventarc=9, functions=ports)
    ran = subprocess.run(
        [sys.executable, "-m", "workers.gpu", "drain"],
        env={**python_environment(), **environment(Profile(model=tmp_path / "gone"), endpoints)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1, ran.stderr
    said = json.loads(ran.stderr.splitlines()[-1])
    assert (said["event"], said["error"], said["severity"]) == ("worker.unavailable", "misconfigured", "CRITICAL")
