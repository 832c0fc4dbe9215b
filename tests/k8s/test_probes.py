"""The probes' own command, run as the kubelet would run it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.k8s.rendering import container, rendered
from workers.gpu import drain

#: What the command looks back, in seconds.
LOOK_BACK = 60.0
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def probe(name: str, file: Path) -> int:
    command = container(rendered())[name]["exec"]["command"]
    environment = {"HEARTBEAT_FILE": str(file), "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, timeout=10, check=False).returncode


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize(
    ("age", "is_alive"), [(0.0, True), (LOOK_BACK - 30, True), (LOOK_BACK + 5, False), (1e6, False)]
)
def test_probe_passes_while_the_heart_beats(name: str, age: float, is_alive: bool, tmp_path: Path) -> None:
    file = tmp_path / "the heart beat"
    file.touch()
    rendered()  # takes seconds, once
    os.utime(file, (time.time() - age,) * 2)
    assert (probe(name, file) == 0) is is_alive


@pytest.mark.parametrize("name", PROBES)
def test_probe_fails_before_the_first_beat(name: str, tmp_path: Path) -> None:
    assert probe(name, tmp_path / "heartbeat") != 0


def test_loop_goes_round_many_times_within_the_look_back() -> None:
    """Busy, it waits a beat for a job to end; idle, for one pull."""
    longest = max(Settings.model_fields["beat_seconds"].default, drain._PULL_SECONDS)
    assert 10 * longest <= LOOK_BACK


def test_a_hung_loop_is_restarted_in_minutes_and_a_slow_start_is_not() -> None:
    live, start = (container(rendered())[name] for name in ("livenessProbe", "startupProbe"))
    restarted = LOOK_BACK + live["periodSeconds"] * live["failureThreshold"] + live["terminationGracePeriodSeconds"]
    assert LOOK_BACK < restarted <= 300
    assert start["periodSeconds"] * start["failureThreshold"] >= 600
