"""make sbom: all that is pinned is listed, once, in a format that Artifact Registry stores."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.wiring.tree import ROOT

LISTS = {
    "functions": ("requirements.txt",),
    "cpu-worker": ("requirements.txt", "workers/cpu/requirements.txt"),
    "gpu-worker": ("requirements.txt", "workers/gpu/requirements.txt"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    command = ["make", "sbom", f"SBOM_DIR={folder}", f"BIN={Path(sys.executable).parent}"]
    # What is set up stays as it is, however old.
    command += ["--old-file=.venv/.ready", "--old-file=.cache/.ready"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return folder


def bill(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.cdx.json").read_text())


def test_each_deployable_has_one(written: Path) -> None:
    assert {file.name for file in written.iterdir()} == {f"{name}.cdx.json" for name in LISTS}


@pytest.mark.parametrize("name", LISTS)
def test_bill_lists_each_pinned_package_once(name: str, written: Path) -> None:
    pins = {
        pin
        for file in LISTS[name]
        for pin in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ \n;]+)", (ROOT / file).read_text(), re.MULTILINE)
    }
    found = [(part["name"], part["version"]) for part in bill(written, name)["components"]]
    assert sorted(found) == sorted(pins)
    assert {part["purl"] for part in bill(written, name)["components"]} == {f"pkg:pypi/{n}@{v}" for n, v in pins}


@pytest.mark.parametrize("name", LISTS)
def test_artifact_registry_takes_the_format(name: str, written: Path) -> None:
    """https://cloud.google.com/artifact-analysis/docs/upload-sbom"""
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str((written / f"{name}.cdx.json").read_text()) is None
    head = bill(written, name)
    assert (head["bomFormat"], head["specVersion"]) == ("CycloneDX", "1.5")
    assert "timestamp" not in head["metadata"], "the same lists make the same file"
