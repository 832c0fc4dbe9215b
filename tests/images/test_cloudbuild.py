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
SCRIPTS = "\n".join(step["script"] for step in steps().values())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path)


def waits_for(name: str) -> set[str]:
    """Every step that has ended before this one begins."""
    before = set(steps()[name]["waitFor"]) - {"-"}
    return before.union(*(waits_for(each) for each in before))


def where(project: str, env: str) -> str:
    return f"--project {project} --region asia-northeast1 --gpu-region asia-southeast1 --env {env} --version abc1234"


@pytest.mark.skipif(not SCHEMA.exists(), reason="the schema is not committed")
def test_file_fits_cloud_builds_schema() -> None:
    jsonschema.validate(build(), json.loads(SCHEMA.read_text()))


def test_steps_come_in_order_and_only_images_side_by_side() -> None:
    line = ["toolbox", "check", "test", "sbom", "deploy-stg", "smoke-stg", "copy-images", "rollout-prod"]
    assert all(earlier in waits_for(later) for earlier, later in pairwise(line))
    for image in ("gpu-image", "cpu-image"):
        assert {"test", "models"} <= waits_for(image)
        assert image in waits_for("sbom")
    assert "gpu-image" not in waits_for("cpu-image")
    assert "cpu-image" not in waits_for("gpu-image")
    assert waits_for("rollout-prod") == set(steps()) - {"rollout-prod"}


def test_build_logs_where_its_account_may_and_has_a_limit() -> None:
    assert build()["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    watched = int(build()["substitutions"]["_WATCH_MINUTES"]) * 60
    assert watched < int(build()["timeout"].removesuffix("s")) / 2


def test_nothing_but_scripts_uses_substitutions_and_all_are_declared_and_used() -> None:
    """In scripts they are environment variables: Cloud Build replaces nothing there, so `$` needs no doubling."""
    assert build()["options"]["automapSubstitutions"] is True
    for step in steps().values():
        assert set(step) == {"id", "name", "waitFor", "script"}
        assert "$" not in step["name"]
    used = set(re.findall(r"\$\{?(_[A-Z_]+|[A-Z]+_(?:SHA|ID))\b", SCRIPTS))
    assert used == set(build()["substitutions"]) | {"SHORT_SHA"}
    assert used - set(build()["substitutions"]) <= set(BUILT_IN)
    assert "$$" not in SCRIPTS


def test_names_are_the_declared_ones() -> None:
    resources = declared()
    repositories = set(re.findall(r"-docker\.pkg\.dev/\$\w+/([\w-]+)", SCRIPTS))
    assert repositories == {resources.images.repository}
    assert f"-{resources.buckets['models'].suffix}/$worker" in SCRIPTS
    workers = re.findall(r"for worker in ([\w ]+);", SCRIPTS)
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
    assert workspace.run_step(name, _STG_PROJECT=STG, _PROD_PROJECT=PROD) == 0
    assert workspace.calls() != []
    last = workspace.calls()[-1]
    assert workspace.run_step(name, fails=last, _STG_PROJECT=STG, _PROD_PROJECT=PROD) != 0


def test_branch_build_ends_with_stg(workspace: Workspace) -> None:
    for name in steps():
        assert workspace.run_step(name, _STG_PROJECT=STG) == 0
    assert workspace.calls("make") == ["check", "test", "sbom"]
    assert workspace.calls("deploy.sh") == [f"up {where(STG, 'stg')}", f"smoke {where(STG, 'stg')}"]
    assert workspace.calls("crane") == []
    assert {worker for worker in ("gpu", "cpu") if (workspace.root / "build/models" / worker).is_dir()} == {
        "gpu",
        "cpu",
    }


def test_stg_is_the_triggers_own_project_unless_named() -> None:
    assert environment()["_STG_PROJECT"] == BUILT_IN["PROJECT_ID"]


def test_tag_copies_the_images_of_stg_by_their_version(workspace: Workspace) -> None:
    assert workspace.run_step("copy-images", _STG_PROJECT=STG, _PROD_PROJECT=PROD) == 0
    repository = "asia-northeast1-docker.pkg.dev/{}/nca-fanout/{}:abc1234".format
    assert workspace.calls("crane") == [
        f"copy {repository(STG, image)} {repository(PROD, image)}" for image in declared().images.names
    ]


ROLLOUT = ["canary 10", "watch --minutes 15", "promote", "smoke", "cleanup"]


def test_good_canary_is_promoted(workspace: Workspace) -> None:
    assert workspace.run_step("rollout-prod", _STG_PROJECT=STG, _PROD_PROJECT=PROD) == 0
    assert workspace.calls("deploy.sh") == [f"{command} {where(PROD, 'prod')}" for command in ROLLOUT]


@pytest.mark.parametrize("how", ["fails", "stops"])
@pytest.mark.parametrize("command", ROLLOUT[:-1])
def test_bad_canary_is_taken_back_and_fails_the_build(command: str, how: str, workspace: Workspace) -> None:
    at = {how: f"deploy.sh {command}"}
    assert workspace.run_step("rollout-prod", _STG_PROJECT=STG, _PROD_PROJECT=PROD, **at) == 1
    expected = [*ROLLOUT[: ROLLOUT.index(command) + 1], "rollback"]
    assert workspace.calls("deploy.sh") == [f"{each} {where(PROD, 'prod')}" for each in expected]


def test_failed_cleanup_takes_nothing_back(workspace: Workspace) -> None:
    assert workspace.run_step("rollout-prod", "deploy.sh cleanup", _STG_PROJECT=STG, _PROD_PROJECT=PROD) != 0
    assert not any(call.startswith("rollback") for call in workspace.calls("deploy.sh"))


def test_failed_rollback_fails_the_build(workspace: Workspace) -> None:
    fails = "deploy.sh [wr]*"
    assert workspace.run_step("rollout-prod", fails, _STG_PROJECT=STG, _PROD_PROJECT=PROD) != 0
    assert workspace.calls("deploy.sh")[-1].startswith("rollback")
