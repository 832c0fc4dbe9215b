"""Every schedule of a few processes keeps every promise, and a protocol with a rule left out does not."""

from __future__ import annotations

from functools import cache

import pytest

from tests.model.explore import Explored, Explorer, Failed
from tests.model.lives import Lives
from tests.model.mutants import MUTANTS, Mutant
from tests.model.scenario import APART, SMALL


@cache
def explored(name: str) -> Explored:
    return Explorer.of(SMALL[name]).explore()


@pytest.mark.parametrize("name", SMALL)
def test_every_schedule_keeps_every_promise(name: str) -> None:
    print(explored(name))
    assert explored(name).schedules > 50, "a scenario in which next to nothing can happen shows nothing"


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_rule_left_out_is_found_and_its_schedule_can_be_played_again(mutant: Mutant) -> None:
    with pytest.raises(Failed) as found:
        Explorer(mutant.scenario, Lives(mutant.scenario, mutant.build, apart=mutant.apart)).explore()
    assert found.value.promise == mutant.promise, found.value

    again = Explorer(mutant.scenario, Lives(mutant.scenario, mutant.build, apart=mutant.apart))
    with pytest.raises(Failed) as played:
        list(again.play(found.value.schedule))
    assert played.value.schedule == found.value.schedule
    assert list(Explorer.of(mutant.scenario, apart=mutant.apart).play(found.value.schedule[:2])), (
        "without the fault it goes on"
    )


@pytest.mark.parametrize("name", sorted(APART))
def test_with_every_process_and_every_schedule_looked_at_apart_the_ends_are_the_same(name: str) -> None:
    apart = Explorer.of(SMALL[name], apart=True).explore()
    assert explored(name).ends == apart.ends
    assert explored(name).states < apart.states


def test_a_schedule_is_as_short_as_can_be() -> None:
    """Level by level: a longer way to the same end is not shown."""
    mutant = MUTANTS["one marker for all submissions"]
    with pytest.raises(Failed) as found:
        Explorer(mutant.scenario, Lives(mutant.scenario, mutant.build)).explore()
    assert len(found.value.schedule) < 15


def test_the_same_scenario_is_the_same_every_time() -> None:
    scenario = SMALL["a cancel in the middle"]
    assert str(Explorer.of(scenario).explore()) == str(Explorer.of(scenario).explore())
