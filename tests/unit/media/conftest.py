from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Protocol

import pytest

from local.assets import Assets, ensure_assets
from shared.media.fork import start_server
from shared.media.process import MediaProcessor
from shared.operations import Operation
from shared.processor import Result
from shared.source import Source

# Read when CTranslate2's first model is made: threads that spin at barriers crawl where something else runs, too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "media"


class Run(Protocol):
    def __call__(self, source: Source, *operations: Operation, explicit: bool = True) -> Result: ...


@pytest.fixture(scope="session")
def assets() -> Assets:
    return ensure_assets()


@pytest.fixture(scope="session")
def speech(assets: Assets) -> Path:
    return assets.speech


@pytest.fixture(scope="session", autouse=True)
def _server() -> None:
    """For many children will come."""
    load_all()


def load_all() -> None:
    """A fork server with all libraries; other tests of this process may have started, or ended, another."""
    forkserver._forkserver._stop()  # multiprocessing has it "for unit tests"
    start_server(with_torch=True)


@pytest.fixture(scope="session")
def processor(assets: Assets) -> MediaProcessor:
    return MediaProcessor(model=assets.model, weights=assets.weights, device="cpu")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def run(processor: MediaProcessor, out: Path) -> Run:
    """Process one file; its artifacts lie in `out`."""

    def process(source: Source, *operations: Operation, explicit: bool = True) -> Result:
        return processor.process(source, operations, out, explicit=explicit, report=lambda stage, percent: None)

    return process


@pytest.fixture
def recording() -> Callable[[str], Path]:
    """A real recording that lies beside the project on some machines."""

    def find(name: str) -> Path:
        path = RECORDINGS / name
        if not path.exists():
            pytest.skip(f"no {name} beside the project")
        return path

    return find
