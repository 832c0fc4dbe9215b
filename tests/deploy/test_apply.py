"""Running a plan: side by side, in lanes, again where Google Cloud has not caught up, and no further than a failure."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import Runner, lanes
from deploy.command import Command, Phase
from deploy.faults import CannotDeploy, NotSettledYet
from tests.deploy.projects import target


class Cloud:
    """Runs nothing and remembers everything; `does` may raise."""

    def __init__(self, does: Callable[[str], None] = lambda title: None) -> None:
        self._does = does
        self.ran: list[str] = []

    def run(self, command: Command) -> None:
        self.ran.append(command.title)
        self._does(command.title)

    def read(self, *arguments: str) -> Any:
        raise AssertionError

    def text(self, *arguments: str) -> str:
        raise AssertionError


def command(title: str, lane: str = "") -> Command:
    return Command((title,), title, lane=lane)


def runner(cloud: Cloud, pauses: list[float] | None = None) -> tuple[Runner, io.StringIO]:
    out = io.StringIO()
    return Runner(cloud, out, pause=(pauses if pauses is not None else []).append), out


def test_lane_keeps_its_order_and_others_do_not_wait() -> None:
    found = lanes([command("a1", "a"), command("b"), command("a2", "a"), command("c")])
    assert [[each.title for each in lane] for lane in found] == [["a1", "a2"], ["b"], ["c"]]


def test_commands_of_a_phase_run_side_by_side() -> None:
    """Each waits for the other: one after the other they would never end."""
    both = threading.Barrier(2, timeout=10)
    cloud = Cloud(lambda title: both.wait() and None)
    runner(cloud)[0].apply((Phase("both", (command("a"), command("b"))),))
    assert sorted(cloud.ran) == ["a", "b"]


def test_each_command_has_its_line_and_each_phase_its_number() -> None:
    works, out = runner(Cloud())
    works.apply((Phase("First", (command("a"),)), Phase("Second", (command("b"),))))
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[0] or line.split("  ")[1] for line in lines] == ["1/2 First", "✓ a", "2/2 Second", "✓ b"]


def fails(error: Exception, *titles: str) -> Callable[[str], None]:
    def does(title: str) -> None:
        if title in titles:
            raise error

    return does


def test_failure_is_told_and_nothing_that_depends_on_it_runs() -> None:
    cloud = Cloud(fails(CannotDeploy("a: the permission x.y.z is missing."), "a"))
    works, out = runner(cloud)
    plan = (Phase("One", (command("a", "lane"), command("after a", "lane"))), Phase("Two", (command("b"),)))
    with pytest.raises(CannotDeploy, match="stopped at “One”"):
        works.apply(plan)
    assert cloud.ran == ["a"]
    assert "✗ a: the permission x.y.z is missing." in out.getvalue()


def test_a_bug_is_not_taken_for_a_failed_command() -> None:
    with pytest.raises(ZeroDivisionError):
        runner(Cloud(fails(ZeroDivisionError(), "a")))[0].apply((Phase("One", (command("a"),)),))


def test_what_has_not_settled_is_tried_again_with_growing_pauses() -> None:
    left = [NotSettledYet("not yet"), NotSettledYet("not yet")]

    def does(title: str) -> None:
        if left:
            raise left.pop()

    pauses: list[float] = []
    cloud = Cloud(does)
    runner(cloud, pauses)[0].apply((Phase("One", (command("a"),)),))
    assert cloud.ran == ["a", "a", "a"]
    assert pauses == [2.0, 4.0]


def test_what_never_settles_ends_after_four_minutes() -> None:
    pauses: list[float] = []
    works, out = runner(Cloud(fails(NotSettledYet("the account is not known"), "a")), pauses)
    with pytest.raises(CannotDeploy):
        works.apply((Phase("One", (command("a"),)),))
    assert sum(pauses) == 240
    assert "✗ the account is not known" in out.getvalue()


def test_deployments_side_by_side_from_one_folder_give_each_command_its_own_file(tmp_path: Path) -> None:
    settings = [target().file("job.env.json", text) for text in ("one", "another", "one")]
    for file in settings:
        file.write(tmp_path)
    assert [(tmp_path / file.path).read_text() for file in settings] == ["one", "another", "one"]
    assert settings[0].path == settings[2].path
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == 2
