"""A short run of each fuzz target, the same every time; `make fuzz` goes on for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.wiring.tree import ROOT

pytest.importorskip("atheris", reason="atheris has no wheel for this machine")
RUNS = 2000


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found_in_the_first_thousands(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", target, f"--runs={RUNS}", "--seed=1", f"--folder={tmp_path}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"Done {RUNS} runs" in run.stderr
    assert list(tmp_path.glob(f"{target}-crash-*")) == []


def test_a_fault_would_be_found(tmp_path: Path) -> None:
    """libFuzzer ends with the input that did it."""
    program = (
        "import atheris\ndef one(data): assert data[:1] != b'a'\natheris.Setup(['x', '-runs=100000', '-seed=1'], one)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program + "atheris.Fuzz()"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 77
    assert list(tmp_path.glob("crash-*"))
