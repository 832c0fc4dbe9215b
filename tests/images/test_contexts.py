"""What leaves this machine: a function's source (.gcloudignore) and an image's context (.dockerignore)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.dockerfile import context, ignored
from tests.wiring.tree import ROOT, files, python_files

#: Things that lie about in a working tree.
STRAY = (
    ".env",
    "key.json",
    "build/models/gpu/model.bin",
    "functions/__pycache__/ingest.cpython-311.pyc",
    "shared/media/__pycache__/model.cpython-311.pyc",
    ".cache/media/demo.mp4",
)


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what gcloud itself says it would upload, of a working tree with stray files."""
    if not shutil.which("gcloud"):
        pytest.skip("needs gcloud")
    tree = tmp_path_factory.mktemp("tree")
    for file in files():
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tree / file)
    for name in STRAY:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("stray")
    listed = subprocess.run(
        ["gcloud", "meta", "list-files-for-upload", str(tree)],
        env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("gcloud"))},
        capture_output=True,
        text=True,
        check=True,
    )
    target = tmp_path_factory.mktemp("uploaded")
    for name in listed.stdout.splitlines():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / name, target / name)
    return target


def test_functions_source_is_main_functions_and_the_light_half_of_shared(uploaded: Path) -> None:
    found = {str(path.relative_to(uploaded)) for path in uploaded.rglob("*") if path.is_file()}
    ours = {
        str(file)
        for file in files()
        if file.parts[0] == "functions" or (file.parts[0] == "shared" and file.parts[1] != "media")
    }
    assert found == ours | {"main.py", "requirements.txt"}


def test_main_loads_from_exactly_what_is_uploaded(uploaded: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import main"],
        cwd=uploaded,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_image_context_is_the_workers_shared_and_their_lists() -> None:
    tops = {file.parts[0] for file in context()}
    assert tops == {"requirements.txt", "shared", "workers"}
    assert set(python_files("shared", "workers")) <= set(context())


@pytest.mark.parametrize(
    ("name", "out"),
    [
        *((name, not name.startswith("build/models/")) for name in STRAY),
        ("build/bench/results.json", True),
        ("workers/gpu/Dockerfile", True),
        ("workers/sbom.sh", True),
        ("workers/gpu/requirements.txt", False),
        ("requirements-dev.txt", True),
        ("build/models/cpu/vocabulary.txt", False),
        (".git/config", True),
    ],
)
def test_stray_files_stay_out_of_an_image_and_models_go_in(name: str, out: bool) -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored(Path(name), patterns) is out
