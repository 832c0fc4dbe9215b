"""Is the canary as good? Judged on metrics that say what they are asked."""

from __future__ import annotations

import io
import math
import re

import pytest

from deploy.faults import NoGoodAnswer
from deploy.promql import Sample
from deploy.revisions import services
from deploy.watch import Numbers, Trial, judge, trials, watch
from shared.resources import declared
from tests.deploy.projects import on_trial, promoted, target

TRIAL = Trial("deliver", canary="deliver-2", serving="deliver-1", quantile=0.95)
NO_NUMBER = math.nan


class Metrics:
    """What each revision has answered."""

    def __init__(self, **numbers: Numbers) -> None:
        self.numbers = {name.replace("_", "-"): each for name, each in numbers.items()}
        self.asked: list[str] = []

    def ask(self, query: str) -> list[Sample]:
        self.asked.append(query)
        found = self.numbers[re.findall(r'revision_name="([^"]+)"', query)[0]]
        if "latencies" in query:
            return [Sample({}, found.latency_ms)]
        good = found.calls - found.errors
        return [Sample({"response_code_class": "2xx"}, good), Sample({"response_code_class": "5xx"}, found.errors)]


@pytest.mark.parametrize(
    ("canary", "serving", "said"),
    [
        (Numbers(100, 0, 100), Numbers(900, 0, 100), None),
        (Numbers(100, 5, 100), Numbers(900, 0, 100), "5.0% of its answers are 5xx, against 0.0% before"),
        (Numbers(100, 5, 100), Numbers(900, 40, 100), None),
        (Numbers(100, 10, 100), Numbers(900, 40, 100), "10.0% of its answers are 5xx"),
        (Numbers(1, 1, 100), Numbers(900, 0, 100), None),
        (Numbers(4, 3, 100), Numbers(900, 0, 100), "75.0%"),
        (Numbers(100, 0, 240), Numbers(900, 0, 100), None),
        (Numbers(100, 0, 260), Numbers(900, 0, 100), "260 ms, against 100 ms before"),
        (Numbers(10, 0, 9000), Numbers(900, 0, 100), None),
        (Numbers(100, 0, NO_NUMBER), Numbers(900, 0, NO_NUMBER), None),
    ],
)
def test_canary_is_judged_by_what_serves(canary: Numbers, serving: Numbers, said: str | None) -> None:
    verdict = judge(Metrics(deliver_2=canary, deliver_1=serving), [TRIAL], 600)
    assert bool(verdict.worse) == (said is not None)
    assert said is None or said in verdict.worse[0]


def test_too_few_calls_are_no_proof() -> None:
    verdict = judge(Metrics(deliver_2=Numbers(19, 0, 1), deliver_1=Numbers(900, 0, 1)), [TRIAL], 600)
    assert (verdict.worse, verdict.unknown) == ((), ("deliver",))


def test_answers_that_are_meant_do_not_count_as_errors() -> None:
    """A bell answered 429 is normal."""
    metrics = Metrics(deliver_2=Numbers(100, 0, 1), deliver_1=Numbers(100, 0, 1))
    assert not judge(metrics, [TRIAL], 600).worse
    assert all("response_code_class" in query for query in metrics.asked if "request_count" in query)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_good_canary_is_watched_to_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    metrics = Metrics(deliver_2=Numbers(100, 0, 1), deliver_1=Numbers(100, 0, 1))
    verdict = watch(metrics, [TRIAL], 15, out.write, clock=clock, pause=clock.pause)  # type: ignore[arg-type]
    assert clock.now == 15 * 60
    assert not verdict.worse
    assert "[900s]" in metrics.asked[-1]
    assert "deliver: canary 100 calls, 0.0% 5xx" in out.getvalue()


def test_bad_canary_is_not_watched_longer_than_twice() -> None:
    clock = Clock()
    metrics = Metrics(deliver_2=Numbers(100, 50, 1), deliver_1=Numbers(100, 0, 1))
    assert watch(metrics, [TRIAL], 15, lambda line: None, clock=clock, pause=clock.pause).worse
    assert clock.now == 30


class Hiccups(Metrics):
    """Some looks fail: of them, only the first question is asked."""

    def __init__(self, failing: set[int], **numbers: Numbers) -> None:
        super().__init__(**numbers)
        self.looks, self.failing = 0, failing

    def ask(self, query: str) -> list[Sample]:
        if "request_count" in query and "deliver-2" in query:
            self.looks += 1
            if self.looks in self.failing:
                raise NoGoodAnswer("GET monitoring.googleapis.com: 503 Service Unavailable.", 503)
        return super().ask(query)


GOOD, BAD = Numbers(100, 0, 1), Numbers(100, 50, 1)


@pytest.mark.parametrize("failing", [{1, 2, 3, 4}, {2, 3, 4, 5, 7, 8, 9, 10}, {31}])
def test_look_that_failed_is_no_verdict(failing: set[int]) -> None:
    clock, metrics = Clock(), Hiccups(failing, deliver_2=GOOD, deliver_1=GOOD)
    assert not watch(metrics, [TRIAL], 15, lambda line: None, clock=clock, pause=clock.pause).worse
    assert clock.now == (930 if 31 in failing else 900)


def test_bad_canary_is_found_between_looks_that_failed() -> None:
    clock, metrics = Clock(), Hiccups({2}, deliver_2=BAD, deliver_1=GOOD)
    assert watch(metrics, [TRIAL], 15, lambda line: None, clock=clock, pause=clock.pause).worse
    assert metrics.looks == 3


def test_five_looks_in_a_row_that_failed_end_the_watch() -> None:
    clock, metrics = Clock(), Hiccups({1, 2, 3, 4, 5}, deliver_2=GOOD, deliver_1=GOOD)
    with pytest.raises(NoGoodAnswer, match="503"):
        watch(metrics, [TRIAL], 15, lambda line: None, clock=clock, pause=clock.pause)


def test_functions_that_hold_requests_are_judged_by_their_median() -> None:
    found = {each.function: each for each in trials(services(target(), on_trial(target())), declared())}
    assert set(found) == set(declared().functions)
    held = {name for name, function in declared().functions.items() if function.max_held}
    assert held
    assert {name for name, each in found.items() if each.quantile == 0.5} == held


def test_without_a_canary_there_is_nothing_to_watch() -> None:
    assert trials(services(target(), promoted(target())), declared()) == []
