"""torchaudio beside a torch without CUDA: what the set-up removes, when, and when not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wiring.tree import ROOT

LIBRARIES = ["_torchaudio.abi3.so", "libtorchaudio.abi3.so"]
#: As the real one: it fails when its library is there and does not load.
IMPORTS_WITHOUT = (
    "import pathlib\nif any((pathlib.Path(__file__).parent / 'lib').iterdir()): raise OSError('libtorch_cuda.so')\n"
)


def fit(folder: Path, cuda: str | None, torchaudio: str) -> subprocess.CompletedProcess[str]:
    """Run it on packages that only look like torch and torchaudio."""
    for path, text in {
        "torch/__init__.py": "from . import version\n",
        "torch/version.py": f"cuda = {cuda!r}\n",
        "torchaudio/__init__.py": torchaudio,
        **{f"torchaudio/lib/{name}": "" for name in LIBRARIES},
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, "-m", "workers.fit_torchaudio"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "torchaudio/lib").iterdir())


def test_an_extension_for_cuda_is_removed_and_said(tmp_path: Path) -> None:
    run = fit(tmp_path, cuda=None, torchaudio=IMPORTS_WITHOUT)
    assert (run.returncode, left(tmp_path)) == (0, [])
    assert all(name in run.stderr for name in LIBRARIES)


@pytest.mark.parametrize(
    ("cuda", "torchaudio", "status"),
    [("12.6", "", 0), ("12.6", IMPORTS_WITHOUT, 1), (None, "", 0)],
    ids=["torch has CUDA", "torch has CUDA and something is amiss", "torchaudio goes with it as it is"],
)
def test_nothing_is_removed_else(cuda: str | None, torchaudio: str, status: int, tmp_path: Path) -> None:
    run = fit(tmp_path, cuda=cuda, torchaudio=torchaudio)
    assert (run.returncode, left(tmp_path)) == (status, LIBRARIES)


def test_torchaudio_imports_here_without_a_warning() -> None:
    command = [sys.executable, "-W", "error", "-c", "import torch, torchaudio"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
