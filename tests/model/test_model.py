"""Every schedule of a few processes keeps every promise, and a protocol with a rule left out does not."""

from __future__ import annotations

import pytest

from tests.model.explore import Explorer, Failed
from tests.model.lives import Lives
from tests.model.mutants import MUTANTS, Mutant
from tests.model.scenario import SMALL, UNBOUNDED, Scenario


@pytest.mark.parametrize("scenario", SMALL.values(), ids=SMALL.keys())
def test_every_schedule_keeps_every_promise(scenario: Scenario) -> None:
    explored = Explorer.of(scenario).explore()
    print(explored)
    assert explored.schedules > 100, "a scenario in which next to nothing can happen shows nothing"


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_rule_left_out_is_found_and_its_schedule_can_be_played_again(mutant: Mutant) -> None:
    with pytest.raises(Failed) as found:
        Explorer(mutant.scenario, Lives(mutant.scenario, mutant.build)).explore()
    assert found.value.promise == mutant.promise, found.value

    again = Explorer(mutant.scenario, Lives(mutant.scenario, mutant.build))
    with pytest.raises(Failed) as played:
        list(again.play(found.value.schedule))
    assert played.value.schedule == found.value.schedule
    assert list(Explorer.of(mutant.scenario).play(found.value.schedule[:2])), "without the fault it goes on"


def test_schedules_of_everybody_by_chance_keep_every_promise() -> None:
    wandered = Explorer.of(UNBOUNDED).wander(1000, seed=1)
    print(wandered)
    assert wandered.steps > 20 * wandered.schedules, "most schedules end before everybody had a turn"


@pytest.mark.parametrize("name", ["records are written unconditionally", "one marker for all submissions"])
def test_chance_finds_a_rule_left_out_and_its_schedule_can_be_played_again(name: str) -> None:
    mutated = MUTANTS[name].build
    with pytest.raises(Failed) as found:
        Explorer(UNBOUNDED, Lives(UNBOUNDED, mutated)).wander(1000, seed=1)
    with pytest.raises(Failed) as played:
        list(Explorer(UNBOUNDED, Lives(UNBOUNDED, mutated)).play(found.value.schedule))
    assert played.value.schedule == found.value.schedule


def test_a_schedule_is_as_short_as_can_be() -> None:
    """Level by level: a longer way to the same end is not shown."""
    mutant = MUTANTS["one marker for all submissions"]
    with pytest.raises(Failed) as found:
        Explorer(mutant.scenario, Lives(mutant.scenario, mutant.build)).explore()
    assert len(found.value.schedule) < 15


def test_the_same_scenario_is_the_same_every_time() -> None:
    scenario = SMALL["a cancel in the middle"]
    assert str(Explorer.of(scenario).explore()) == str(Explorer.of(scenario).explore())
