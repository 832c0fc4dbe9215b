"""The last step of a tag's build: a canary that is watched and then promoted, or taken back, whatever ends it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import Runner
from deploy.command import Command
from deploy.faults import CannotDeploy
from deploy.options import parser
from deploy.session import Session, target_of
from tests.images.pipeline import Workspace, steps
from tests.wiring.tree import ROOT

STG, PROD = "p-stg", "p-prod"
BEFORE = ["canary 10", "watch --minutes 15"]
FROM_PROMOTION = ["promote", "smoke"]
COMMANDS = [*BEFORE, *FROM_PROMOTION, "cleanup"]
WHERE = (
    f" --project {PROD} --region asia-northeast1 --gpu-region asia-southeast1 --env prod"
    f" --stg-project {STG} --version abc1234"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path)


def roll_out(workspace: Workspace, **how: str) -> int:
    return workspace.run_step("rollout-prod", _STG_PROJECT=STG, _PROD_PROJECT=PROD, **how)


def commands(workspace: Workspace) -> list[str]:
    called = workspace.calls("deploy.sh")
    assert all(call.endswith(WHERE) for call in called)
    return [call.removesuffix(WHERE) for call in called]


def test_good_canary_is_promoted(workspace: Workspace) -> None:
    assert roll_out(workspace) == 0
    assert commands(workspace) == COMMANDS


@pytest.mark.parametrize("how", ["fails", "stops"])
@pytest.mark.parametrize("command", BEFORE)
def test_before_promotion_only_a_canary_is_taken_back(command: str, how: str, workspace: Workspace) -> None:
    """A refused canary has changed nothing: the full `rollback` would go back from what has served all along."""
    assert roll_out(workspace, **{how: f"deploy.sh {command}"}) == 1
    assert commands(workspace) == [*COMMANDS[: COMMANDS.index(command) + 1], "rollback --canary-only"]


@pytest.mark.parametrize("how", ["fails", "stops"])
@pytest.mark.parametrize("command", FROM_PROMOTION)
def test_from_promotion_on_the_version_before_is_brought_back(command: str, how: str, workspace: Workspace) -> None:
    assert roll_out(workspace, **{how: f"deploy.sh {command}"}) == 1
    assert commands(workspace) == [*COMMANDS[: COMMANDS.index(command) + 1], "rollback"]


@pytest.mark.parametrize("command", COMMANDS)
def test_cancelled_build_ends_its_command_at_once(command: str, workspace: Workspace) -> None:
    """The stand-in goes on for a minute, as `watch` does for a quarter of an hour."""
    assert roll_out(workspace, stops=f"deploy.sh {command}") != 0
    assert not workspace.lingers()


def test_failed_cleanup_takes_nothing_back(workspace: Workspace) -> None:
    assert roll_out(workspace, fails="deploy.sh cleanup") != 0
    assert commands(workspace) == COMMANDS


@pytest.mark.parametrize("fails", ["deploy.sh [wr]*", "deploy.sh [sr]*"])
def test_failed_rollback_fails_the_build(fails: str, workspace: Workspace) -> None:
    assert roll_out(workspace, fails=fails) != 0
    assert commands(workspace)[-1].startswith("rollback")


def test_deploy_understands_every_command_of_the_pipeline(workspace: Workspace) -> None:
    for name in steps():
        assert workspace.run_step(name, _STG_PROJECT=STG) == 0
    for how in ({}, {"fails": "deploy.sh watch"}, {"fails": "deploy.sh smoke"}):
        roll_out(workspace, **how)
    called = {call: parser().parse_args(shlex.split(call)) for call in workspace.calls("deploy.sh")}
    assert {asked.command for asked in called.values()} == {
        *("up", "canary", "watch", "promote", "smoke", "cleanup", "rollback")
    }


@dataclass(frozen=True)
class EmptyCloud:
    """A cloud in which nothing is, and that notes what it was asked for."""

    asked: list[str]

    def read(self, *arguments: str) -> Any:
        self.asked.append(" ".join(arguments))
        return []

    def text(self, *arguments: str) -> str:
        raise AssertionError(arguments)

    def run(self, command: Command) -> None:
        raise AssertionError(command)


def test_canary_asks_stg_for_the_version_it_releases(workspace: Workspace) -> None:
    assert roll_out(workspace) == 0
    asked = parser().parse_args(shlex.split(workspace.calls("deploy.sh")[0]))
    cloud = EmptyCloud([])
    session = Session(cloud, Runner(cloud, StringIO()), target_of(asked, ROOT), asked)
    with pytest.raises(CannotDeploy, match=STG):
        session.require_stg()
    assert [each.split()[1] for each in cloud.asked if f"--project={STG}" in each] == ["services", "revisions"]
