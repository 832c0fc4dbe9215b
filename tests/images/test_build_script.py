"""workers/build.sh: on a pinned base, from one commit, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.pipeline import Workspace
from tests.wiring.tree import ROOT

REPOSITORY = "r-docker.pkg.dev/p/nca-fanout"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path)


def git(workspace: Workspace, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=workspace.root, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(workspace: Workspace) -> str:
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=workspace.root, text=True).strip()


@pytest.mark.parametrize("worker", ["cpu", "gpu"])
def test_build_pins_the_base_and_names_the_commit(worker: str, workspace: Workspace) -> None:
    assert workspace.run("workers/build.sh", worker, REPOSITORY, "v1", MIRROR="mirror.example") == 0
    build = workspace.calls("docker")[-1]
    assert build.startswith(f"buildx build . --file workers/{worker}/Dockerfile ")
    assert "--build-arg BASE=mirror.example/library/python:3.11-slim-bookworm@sha256:base " in build
    assert f"--build-arg REVISION={commit(workspace)} " in build
    assert f"name={REPOSITORY}/{worker}-worker:v1,push=true,rewrite-timestamp=true" in build
    assert f"--cache-from type=registry,ref={REPOSITORY}/{worker}-worker:cache " in build


def test_without_a_mirror_the_base_is_the_dockerfiles_own(workspace: Workspace) -> None:
    assert workspace.run("workers/build.sh", "cpu", REPOSITORY, "v1") == 0
    assert "--build-arg BASE=python:3.11-slim-bookworm@sha256:base " in workspace.calls("docker")[-1]


def test_image_that_is_there_is_left_alone(workspace: Workspace) -> None:
    assert workspace.run("workers/build.sh", "gpu", REPOSITORY, "v1", built=True) == 0
    [only] = workspace.calls("docker")
    assert only.startswith(f"buildx imagetools inspect {REPOSITORY}/gpu-worker:v1 ")


@pytest.mark.parametrize(
    "says",
    [
        "ERROR: failed to authorize: failed to fetch oauth token: 403 Forbidden",
        "ERROR: unexpected status from HEAD request to IMAGE: 503 Service Unavailable",
        'ERROR: error getting credentials - err: exec: "docker-credential-gcloud": executable file not found in $PATH',
        "ERROR: another/IMAGE-cache: not found",
        "",
    ],
)
def test_registry_that_does_not_tell_builds_nothing(says: str, workspace: Workspace) -> None:
    """What stg has run may be there: an image built anew would take its place."""
    assert workspace.run("workers/build.sh", "gpu", REPOSITORY, "v1", says=says) != 0
    [only] = workspace.calls("docker")
    assert only.startswith("buildx imagetools inspect ")


@pytest.mark.parametrize("fails", ["docker buildx imagetools inspect python", "docker buildx build"])
def test_failure_is_the_scripts_failure(fails: str, workspace: Workspace) -> None:
    assert workspace.run("workers/build.sh", "cpu", REPOSITORY, "v1", fails=fails) != 0


def test_build_without_a_worker_is_bad_usage(workspace: Workspace) -> None:
    assert workspace.run("workers/build.sh") != 0
    assert workspace.calls() == []


def test_scripts_are_clean() -> None:
    scripts = sorted((ROOT / "workers").glob("*.sh"))
    assert [script.name for script in scripts] == ["build.sh", "sbom.sh"]
    shellcheck = Path(sys.executable).with_name("shellcheck")
    run = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")
