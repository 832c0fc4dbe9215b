"""Who waits and was missed, and who has only not had his turn yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.job import Job
from shared.lanes import Priority
from shared.routing import Destination
from shared.turns import Turn, Turns
from tests.unit.samples import NOON, job

PATIENCE = timedelta(seconds=120)


def at(seconds: float, number: int = 0, **changes: Any) -> Job:
    """A job that came into its queue so many seconds after noon."""
    return job(f"{seconds} {number}", queued_at=NOON + timedelta(seconds=seconds), **changes)


def missed(*waiting: Job, now: float, at_work: tuple[tuple[Job, float], ...] = ()) -> list[bool]:
    """Of those that wait, whether each was missed; each at work was taken so many seconds after noon."""
    taken = [each.leased("worker/1", NOON + timedelta(seconds=seconds)) for each, seconds in at_work]
    open_jobs = [(each, False) for each in waiting] + [(each, True) for each in taken]
    turns = Turns(Turn.of(each, at_work=is_at_work) for each, is_at_work in open_jobs)
    return [turns.is_missed(each, NOON + timedelta(seconds=now), PATIENCE) for each in waiting]


def test_where_nobody_is_at_work_all_were_missed() -> None:
    assert missed(at(0), at(1), at(600), now=1000) == [True, True, True]


def test_however_many_wait_where_nobody_is_at_work_the_oldest_set_it_going() -> None:
    found = missed(*(at(-number, number) for number in range(5000)), now=1000)
    assert found == [False] * 4900 + [True] * 100


def test_a_long_queue_that_goes_on_misses_nobody() -> None:
    waiting = [at(number) for number in range(100, 2000)]
    assert not any(missed(*waiting, now=7200, at_work=((at(98), 7100), (at(99), 7190))))


def test_who_was_passed_by_one_that_came_long_after_was_missed() -> None:
    later = (at(500), 990)
    assert missed(at(0), at(379), at(380), at(600), now=1000, at_work=(later,)) == [True, True, False, False]


@pytest.mark.parametrize(("taken", "is_missed"), [(880, True), (881, False)])
def test_the_oldest_was_missed_when_for_long_nobody_was_taken(taken: float, is_missed: bool) -> None:
    """One works for hours on what came before, and there may be room beside it."""
    assert missed(at(10), at(11), now=1000, at_work=((at(0), taken),)) == [is_missed, False]


def test_other_ways_of_work_tell_nothing() -> None:
    there = (at(900, destination=Destination.CPU), 990)
    assert missed(at(0), now=1000, at_work=(there,)) == [True]


@pytest.mark.parametrize(
    ("waits", "works", "is_missed"),
    [
        (Priority.NORMAL, Priority.HIGH, False),
        (Priority.HIGH, Priority.NORMAL, True),
        (Priority.HIGH, Priority.HIGH, True),
        (Priority.NORMAL, Priority.NORMAL, True),
    ],
)
def test_a_high_job_may_pass_a_normal_one_and_no_other_way(waits: Priority, works: Priority, is_missed: bool) -> None:
    before, late = at(0, priority=waits), at(500, priority=works)
    assert missed(before, now=1000, at_work=((late, 990),)) == [is_missed]


@pytest.mark.parametrize("waits", Priority)
@pytest.mark.parametrize("works", Priority)
def test_the_lanes_of_the_cpu_tell_nothing_of_each_other(waits: Priority, works: Priority) -> None:
    """Two queues, with places of their own: a lost job of one is found whatever goes on in the other."""
    before = [at(number, destination=Destination.CPU, priority=waits) for number in range(200)]
    late = at(900, destination=Destination.CPU, priority=works)
    expected = [True] * 200 if waits is works else [True] * 100 + [False] * 100
    assert missed(*before, now=1000, at_work=((late, 990),)) == expected
    of_its_own = (at(-10, destination=Destination.CPU, priority=waits), 980)
    if waits is not works:
        assert not any(missed(*before, now=1000, at_work=((late, 990), of_its_own)))


def test_the_lanes_have_each_its_oldest() -> None:
    long = (at(0), 10)
    assert missed(at(1), at(2, priority=Priority.HIGH), at(3), now=1000, at_work=(long,)) == [True, True, False]
