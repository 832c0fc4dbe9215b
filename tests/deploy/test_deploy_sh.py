"""deploy.sh itself: clean, and it finds a Python that can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wiring.tree import OURS, ROOT, imported, module, python_files, reached

SCRIPT = ROOT / "deploy.sh"


def shellcheck() -> str | None:
    return shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.skipif(shellcheck() is None, reason="no shellcheck on this machine")
def test_shellcheck_finds_nothing() -> None:
    found = subprocess.run([shellcheck() or "", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_it_can_be_run_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run([SCRIPT, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "usage: ./deploy.sh [-h] COMMAND ...")


def test_status_of_the_command_is_its_own() -> None:
    done = subprocess.run([SCRIPT, "sing"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2


def copy(folder: Path) -> Path:
    """The script in a checkout without any virtual environment."""
    (folder / "deploy").mkdir()
    (folder / "deploy" / "requirements.txt").touch()
    return Path(shutil.copy(SCRIPT, folder))


def test_without_a_fitting_python_it_says_so(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    done = subprocess.run([copy(tmp_path), "up"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Python 3.11 or newer is needed; set PYTHON=…\n"


def test_list_builds_upon_the_functions_and_pins_what_it_adds() -> None:
    first, *others = (ROOT / "deploy" / "requirements.txt").read_text().splitlines()
    pins = {line for line in others if line[:1].isalpha()}
    assert first == "-r ../requirements.txt"
    assert pins <= set((ROOT / "requirements-dev.txt").read_text().splitlines())


def test_nothing_is_imported_that_the_list_does_not_bring() -> None:
    loaded = reached(*(module(file) for file in python_files("deploy")))
    known = {module(file): file for file in python_files()}
    tops = {name.partition(".")[0] for each in loaded for name in imported(known[each])}
    assert tops - OURS - sys.stdlib_module_names == {"google", "pydantic", "requests", "yaml"}
