"""cloudbuild.yaml: valid, in order, and each script does what its step promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

from shared.resources import declared
from tests.images.pipeline import BUILT_IN, Workspace, build, environment, steps
from tests.wiring.tree import ROOT

SCHEMA = ROOT.parent / "shared/schemas/cloudbuild.json"
STG, PROD = "p-stg", "p-prod"
BILLS = {"sbom", "sbom-prod"}
#: Those that a build of main passes by, and those that a build of a tag does.
ONLY_TAG = {"copy-images", "sbom-prod", "rollout-prod"}
ONLY_MAIN = {"models", "gpu-image", "cpu-image", "sbom", "deploy-stg", "smoke-stg"}
REPOSITORY = "asia-northeast1-docker.pkg.dev/{}/nca-fanout/{}:abc1234"
IMAGES = declared().images.names
SCRIPTS = "\n".join(step["script"] for step in steps().values())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path)


def waits_for(name: str) -> set[str]:
    """Every step that has ended before this one begins."""
    before = set(steps()[name]["waitFor"]) - {"-"}
    return before.union(*(waits_for(each) for each in before))


def where(project: str, env: str) -> str:
    stg = f" --stg-project {STG}" if env == "prod" else ""
    regions = "--region asia-northeast1 --gpu-region asia-southeast1"
    return f"--project {project} {regions} --env {env}{stg} --version abc1234"


@pytest.mark.skipif(not SCHEMA.exists(), reason="the schema is not committed")
def test_file_fits_cloud_builds_schema() -> None:
    jsonschema.validate(build(), json.loads(SCHEMA.read_text()))


def test_steps_come_in_order_and_only_images_side_by_side() -> None:
    line = ["toolbox", "check", "test", "gpu-image", "deploy-stg", "smoke-stg", "copy-images", "rollout-prod"]
    assert all(earlier in waits_for(later) for earlier, later in pairwise(line))
    for image in ("gpu-image", "cpu-image"):
        assert {"test", "models"} <= waits_for(image)
        assert image in waits_for("deploy-stg")
    assert "gpu-image" not in waits_for("cpu-image")
    assert "cpu-image" not in waits_for("gpu-image")
    assert waits_for("rollout-prod") == set(steps()) - {"rollout-prod", *BILLS}


def test_bill_of_materials_holds_nothing_up() -> None:
    """A step that fails would end those beside it, too, unless its failure is allowed."""
    assert {name for name, step in steps().items() if step.get("allowFailure")} == BILLS
    assert all(BILLS.isdisjoint(waits_for(name)) for name in steps())
    assert {"gpu-image", "cpu-image"} <= waits_for("sbom")
    assert "copy-images" in waits_for("sbom-prod")


def test_images_of_steps_are_whole_names() -> None:
    """The toolbox's is what its step has pushed: found by whoever looks, in the daemon or in the registry."""
    pushed = re.findall(r'^docker push "\$image:\$SHORT_SHA"$', steps()["toolbox"]["script"], re.MULTILINE)
    image = re.findall(r"^image=(.+)$", steps()["toolbox"]["script"], re.MULTILINE)
    assert len(pushed) == 1
    whole = f"{image[0]}:$SHORT_SHA"
    for name, step in steps().items():
        registry, slash, _ = step["name"].partition("/")
        assert slash, name
        assert registry.endswith((".io", ".pkg.dev")), name
        if "toolbox" in step["name"]:
            assert step["name"].replace("{", "").replace("}", "") == whole
            assert "toolbox" in waits_for(name)


def test_docker_hub_is_only_asked_through_its_mirror(workspace: Workspace) -> None:
    """The builder's own image comes from there as well."""
    assert workspace.run_step("toolbox", _STG_PROJECT=STG) == 0
    assert workspace.run_step("cpu-image", _STG_PROJECT=STG) == 0
    create, toolbox, push, *_, image = workspace.calls("docker")
    assert create.endswith(" --driver docker-container --driver-opt image=mirror.gcr.io/moby/buildkit:buildx-stable-1")
    assert "--build-arg BASE=mirror.gcr.io/library/python:3.11-bookworm " in toolbox
    assert "--load" in toolbox.split()
    assert push == f"push asia-northeast1-docker.pkg.dev/{BUILT_IN['PROJECT_ID']}/nca-fanout/toolbox:abc1234"
    assert "--build-arg BASE=mirror.gcr.io/library/python:3.11-slim-bookworm@sha256:base " in image


def test_build_logs_where_its_account_may_and_has_a_limit() -> None:
    assert build()["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    watched = int(build()["substitutions"]["_WATCH_MINUTES"]) * 60
    assert watched < int(build()["timeout"].removesuffix("s")) / 2


def test_substitutions_are_declared_and_used() -> None:
    """In scripts they are environment variables: Cloud Build replaces nothing there, so `$` needs no doubling."""
    assert build()["options"]["automapSubstitutions"] is True
    names = " ".join(step["name"] for step in steps().values())
    for step in steps().values():
        assert set(step) - {"allowFailure"} == {"id", "name", "waitFor", "script"}
    used = set(re.findall(r"\$\{?(_[A-Z_]+|[A-Z]+_(?:SHA|ID))\b", SCRIPTS + names))
    assert used == set(build()["substitutions"]) | {"SHORT_SHA", "PROJECT_ID"}
    assert used - set(build()["substitutions"]) <= set(BUILT_IN)
    assert "$$" not in SCRIPTS


def test_names_are_the_declared_ones() -> None:
    resources = declared()
    named = SCRIPTS + "\n".join(step["name"] for step in steps().values())
    repositories = set(re.findall(r"-docker\.pkg\.dev/\$\w+/([\w-]+)", named))
    assert repositories == {resources.images.repository}
    assert f"-{resources.buckets['models'].suffix}/$worker" in SCRIPTS
    workers = re.findall(r"for worker in ([\w ]+);", SCRIPTS + (ROOT / "workers/sbom.sh").read_text())
    assert len(workers) == 3
    assert {tuple(f"{worker}-worker" for worker in line.split()) for line in workers} == {resources.images.names}


@pytest.mark.parametrize("name", steps())
def test_script_is_clean_in_the_shell_it_names(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(steps()[name]["script"])
    shell = "bash" if file.read_text().startswith("#!/usr/bin/env bash\n") else "sh"
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for command in ([shell, "-n", file], [shellcheck, f"--shell={shell}", file]):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout + run.stderr) == (0, "")


@pytest.mark.parametrize("name", steps())
def test_step_fails_when_what_it_calls_fails(name: str, workspace: Workspace) -> None:
    prod = PROD if name in ONLY_TAG else ""
    assert workspace.run_step(name, _STG_PROJECT=STG, _PROD_PROJECT=prod) == 0
    assert workspace.calls() != []
    last = workspace.calls()[-1]
    assert workspace.run_step(name, fails=last, _STG_PROJECT=STG, _PROD_PROJECT=prod) != 0


def test_branch_build_ends_with_stg(workspace: Workspace) -> None:
    for name in steps():
        before = workspace.calls()
        assert workspace.run_step(name, _STG_PROJECT=STG) == 0
        assert (workspace.calls() == before) is (name in ONLY_TAG)
    assert workspace.calls("make") == ["check", "test", "sbom"]
    assert workspace.calls("deploy.sh") == [f"up {where(STG, 'stg')}", f"smoke {where(STG, 'stg')}"]
    assert {folder.name for folder in (workspace.root / "build/models").iterdir()} == {"gpu", "cpu"}


def test_tag_build_leaves_stg_and_its_images_as_they_are(workspace: Workspace) -> None:
    """Another `up` of stg would put an older commit there, and make revisions too young for prod."""
    for name in steps():
        before = workspace.calls()
        assert workspace.run_step(name, _STG_PROJECT=STG, _PROD_PROJECT=PROD, PROJECT_ID=PROD) == 0
        assert (workspace.calls() == before) is (name in ONLY_MAIN)
    assert all(f"--project {PROD} " in call for call in workspace.calls("deploy.sh"))
    copied = {f"copy {REPOSITORY.format(STG, image)} {REPOSITORY.format(PROD, image)}" for image in IMAGES}
    assert {call for call in workspace.calls() if f"/{STG}/" in call} == {f"crane {call}" for call in copied}


def test_stg_is_the_triggers_own_project_unless_named() -> None:
    assert environment()["_STG_PROJECT"] == BUILT_IN["PROJECT_ID"]


def test_tag_copies_the_images_of_stg_by_their_version(workspace: Workspace) -> None:
    assert workspace.run_step("copy-images", _STG_PROJECT=STG, _PROD_PROJECT=PROD) == 0
    assert workspace.calls("crane") == [
        f"copy {REPOSITORY.format(STG, image)} {REPOSITORY.format(PROD, image)}" for image in IMAGES
    ]


def test_bills_are_stored_where_the_images_are(workspace: Workspace) -> None:
    assert workspace.run_step("sbom", _STG_PROJECT=STG) == 0
    assert workspace.run_step("sbom-prod", _STG_PROJECT=STG, _PROD_PROJECT=PROD) == 0
    assert workspace.calls("gcloud") == [
        f"artifacts sbom load --project={project} --source=build/sbom/{image}.cdx.json "
        f"--uri={REPOSITORY.format(project, image)}"
        for project in (STG, PROD)
        for image in IMAGES
    ]
