"""A handful of seeds and the cheap half of the table on one local cloud; `make chaos` plays them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import promises, seeds, table
from tests.chaos.catalogue import FAULTS, PARTS, SCENARIOS, Scenario
from tests.chaos.hub import Hub
from tests.chaos.starting import chaos_hub

pytestmark = pytest.mark.e2e

#: Of those that were tried, quick ones whose faults strike in many places; 42 and 35 have an incident, too.
SEEDS = (30, 42)
GKE_SEED = 35


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with chaos_hub() as started:
        yield started


@pytest.fixture(scope="module")
def gke_hub() -> Iterator[Hub]:
    with chaos_hub(enable_gke_route=True) as started:
        yield started


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each.is_cheap], ids=lambda each: each.name)
def test_every_promise_is_kept_when(hub: Hub, scenario: Scenario) -> None:
    played = table.play(hub, scenario)
    assert not played.broken, "\n".join(played.broken)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept_with_faults_at_random(hub: Hub, seed: int) -> None:
    seeded = seeds.run(hub, seed)
    assert not seeded.broken, "\n".join((*seeded.broken, *seeded.struck))


def test_every_promise_is_kept_with_faults_at_random_where_pods_work(gke_hub: Hub) -> None:
    assert seeds.has_gke(GKE_SEED)
    seeded = seeds.run(gke_hub, GKE_SEED)
    assert not seeded.broken, "\n".join((*seeded.broken, *seeded.struck))
    assert gke_hub.plan.points["pubsub Publish gpu-tasks-gke"]


def test_nothing_that_came_late_has_undone_anything(hub: Hub, gke_hub: Hub) -> None:
    for each in (hub, gke_hub):
        each.reset()
        assert not promises.broken(each, list(each.asked.values()))


def test_every_fault_has_a_scenario() -> None:
    assert {fault for each in SCENARIOS for fault in each.faults} == set(FAULTS)


def test_every_part_of_a_fault_has_a_scenario() -> None:
    for fault, parts in PARTS.items():
        assert {part for each in SCENARIOS if fault in each.faults for part in each.parts} >= set(parts), fault
    known = {part for parts in PARTS.values() for part in parts}
    assert {part for each in SCENARIOS for part in each.parts} == known


def test_every_promise_is_tried() -> None:
    assert {promise for each in SCENARIOS for promise in each.promises} == set(promises.PROMISES)
