"""Speech in two languages, and a model that knows both."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from local.assets import Assets, ensure_assets
from shared.media.process import MediaProcessor
from tests.languages.install import MODEL, is_installed

GERMAN = "Guten Morgen, meine Damen und Herren. Heute ist Montag. Morgen fahren wir mit dem Zug nach Berlin."


@pytest.fixture(scope="session")
def assets() -> Assets:
    return ensure_assets()


@pytest.fixture(scope="session")
def model() -> Path:
    if not is_installed():
        pytest.skip("the model is not installed: python -m tests.languages.install")
    return MODEL


@pytest.fixture(scope="session")
def processor(model: Path, assets: Assets) -> MediaProcessor:
    return MediaProcessor(model=model, weights=assets.weights, device="cpu")


@pytest.fixture(scope="session")
def english(assets: Assets) -> Path:
    """A real recording."""
    return assets.speech


@pytest.fixture(scope="session")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by a machine: the indexes have no recording of another language that may be used."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is not installed")
    path = tmp_path_factory.mktemp("spoken") / "german.wav"
    subprocess.run([program, "-v", "de", "-s", "130", "-w", path, GERMAN], check=True)
    return path
