"""The workers' images: linted, started as resources.toml says, as nobody in particular, on one base."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from deploy.command import Tool
from shared.resources import declared
from shared.settings import Settings
from tests.images.dockerfile import Instruction, context, copied, instructions, stages
from tests.wiring.tree import ROOT

WORKERS = ("cpu", "gpu")
DOCKERFILES = {worker: Path("workers", worker, "Dockerfile") for worker in WORKERS}
TOOLBOX = Path("deploy/toolbox/Dockerfile")


def final(worker: str) -> list[Instruction]:
    return stages(DOCKERFILES[worker])[-1]


def environment(worker: str) -> dict[str, str]:
    words = [word for name, rest in final(worker) if name == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    run = subprocess.run(
        [hadolint, TOOLBOX, *DOCKERFILES.values()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


@pytest.mark.parametrize("worker", WORKERS)
def test_image_starts_what_its_job_declares(worker: str) -> None:
    job = declared().jobs[worker]
    commands = [json.loads(rest) for name, rest in final(worker) if name in {"ENTRYPOINT", "CMD"}]
    assert [word for command in commands for word in command] == list(job.command)
    assert job.image == f"{worker}-worker"
    assert job.image in declared().images.names


@pytest.mark.parametrize("worker", WORKERS)
def test_user_is_a_number_other_than_root(worker: str) -> None:
    """`runAsNonRoot` can only check a number."""
    user = re.fullmatch(r"(\d+):(\d+)", dict(final(worker))["USER"])
    assert user
    assert int(user[1]) > 0


@pytest.mark.parametrize("worker", WORKERS)
def test_only_tmp_is_written(worker: str) -> None:
    ours = environment(worker)
    assert (ours["HOME"], ours["PYTHONDONTWRITEBYTECODE"], ours["PYTHONUNBUFFERED"]) == ("/tmp", "1", "1")
    assert [word for word, _ in final(worker) if word in {"RUN", "VOLUME", "EXPOSE"}] == []


@pytest.mark.parametrize("worker", WORKERS)
def test_settings_that_an_image_fixes_exist(worker: str) -> None:
    known = {name.upper() for name in Settings.model_fields}
    python = {"PATH", "HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    libraries = {"LD_LIBRARY_PATH", "NVIDIA_DRIVER_CAPABILITIES", "OMP_WAIT_POLICY"}
    assert set(environment(worker)) - python - libraries == {"MODEL", "WEIGHTS"}
    assert {"MODEL", "WEIGHTS"} <= known


def test_gpu_image_asks_for_compute_and_the_video_decoder() -> None:
    ours = environment("gpu")
    assert set(ours["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "video", "utility"}
    # Where Cloud Run and GKE mount the driver's libraries.
    assert ours["LD_LIBRARY_PATH"].split(":") == ["/cuda/cublas/lib", "/usr/local/nvidia/lib64"]
    assert ("COPY", "--from=packages /cuda /cuda") in final("gpu")


@pytest.mark.parametrize("worker", WORKERS)
def test_model_lies_where_the_image_says(worker: str) -> None:
    taken = {to: sources for stage in stages(DOCKERFILES[worker]) for sources, to in copied(stage)}
    assert taken[environment(worker)["MODEL"]] == [f"build/models/{worker}"]


def test_all_images_have_one_python() -> None:
    bases = {dict(instructions(file)[:1])["ARG"] for file in (TOOLBOX, *DOCKERFILES.values())}
    assert {base.replace("-slim", "") for base in bases} == {"BASE=python:3.11-bookworm"}
    for file in DOCKERFILES.values():
        assert {stage[0][1].split()[0] for stage in stages(file)} == {"${BASE}"}


def test_toolbox_has_each_tool_that_deployments_run() -> None:
    packages = {
        "gcloud": {"google-cloud-cli"},
        # On GKE kubectl logs in through its plugin.
        "kubectl": {"kubectl", "google-cloud-cli-gke-gcloud-auth-plugin"},
    }
    assert set(packages) == set(get_args(Tool))
    [installed] = [rest.split() for word, rest in instructions(TOOLBOX) if word == "RUN" and "install" in rest]
    assert set().union(*packages.values()) <= set(installed)


@pytest.mark.parametrize("worker", WORKERS)
def test_layers_are_ordered_by_how_seldom_they_change(worker: str) -> None:
    folders = [rest.split()[-1] for word, rest in final(worker) if word == "COPY"]
    assert folders == [*(["/cuda"] if worker == "gpu" else []), "/weights", "/model", "/venv", "/app"]


@pytest.mark.parametrize("worker", WORKERS)
def test_worker_starts_from_exactly_what_is_copied(worker: str, tmp_path: Path) -> None:
    """The code stage, done here: what the context lacks, or a COPY forgets, is an ImportError."""
    seen = context()
    for stage in stages(DOCKERFILES[worker]):
        if ("WORKDIR", "/app") not in stage:
            continue
        for sources, destination in copied(stage):
            for source in sources:
                taken = [file for file in seen if file.match(source) or Path(source) in file.parents]
                assert taken, source
                for file in taken:
                    under = file.relative_to(source) if Path(source) in file.parents else Path(file.name)
                    target = tmp_path / destination / under
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes((ROOT / file).read_bytes())
    run = subprocess.run(
        [sys.executable, "-c", f"import workers.{worker}.main"],
        cwd=tmp_path,
        env={"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    tops = {path.name for path in tmp_path.iterdir()}
    assert tops == {"shared", "workers"}
