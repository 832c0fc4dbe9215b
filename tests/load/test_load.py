"""What the load test says of what it saw: a slope is a slope, and one job lost, doubled or stuck is told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bench.load.drawing import draw
from bench.load.ledger import Ledger, ledger
from bench.load.steadiness import steadiness
from bench.load.watch import Held, Moment
from bench.report import Figure


def moments(minutes: float, *, growth: float = 0.0, leak: float = 0.0, name: str = "ingest") -> list[Moment]:
    """A look every five seconds; `growth` MB and `leak` descriptors an hour, after a hungry start."""
    return [
        Moment(
            at,
            waiting=at % 3,
            oldest=1.0,
            runners=1,
            ended=at // 3,
            held={name: Held(100 + growth * at / 3600 + max(0, 60 - at), round(40 + leak * at / 3600))},
        )
        for at in range(0, round(60 * minutes), 5)
    ]


def growth_of(looks: list[Moment]) -> list[Figure]:
    return steadiness(looks)[1:]


@pytest.mark.parametrize(
    ("growth", "leak", "kept"),
    [(0, 0, [True, True]), (5, 2, [True, True]), (60, 0, [False, True]), (0, 60, [True, False])],
)
def test_a_process_that_grows_is_told_from_one_that_warms_up(growth: float, leak: float, kept: list[bool]) -> None:
    _, memory, descriptors = steadiness(moments(30, growth=growth, leak=leak))
    assert memory.value == pytest.approx(growth, abs=0.1)
    assert descriptors.value == pytest.approx(leak, abs=2.5)  # one descriptor is a step
    assert [memory.holds, descriptors.holds] == kept


def test_a_short_soak_is_told_and_not_judged() -> None:
    assert [figure.must for figure in growth_of(moments(5, growth=1000))] == [None, None]
    assert growth_of(moments(0.1)) == []


def test_what_the_emulators_keep_is_not_judged() -> None:
    assert [figure.must for figure in growth_of(moments(30, growth=1000, name="storage"))] == [None, None]


def test_a_worker_is_judged_over_its_own_life() -> None:
    executions = [*moments(15, name="GPU execution 1"), *moments(15, growth=100, name="GPU execution 2")]
    later = [replace(moment, at=moment.at + (900 if index >= 180 else 0)) for index, moment in enumerate(executions)]
    ended, *figures = steadiness(later)
    assert ended.holds
    assert [figure.holds for figure in figures] == [True, True, False, True]


def test_what_a_job_borrows_for_a_moment_is_no_growth() -> None:
    lent = [
        replace(moment, held={"pod 7": replace(moment.held["pod 7"], memory=300)})
        if index % 5 == index // 100
        else moment
        for index, moment in enumerate(moments(30, name="pod 7"))
    ]
    memory, _ = growth_of(lent)
    assert memory.value == pytest.approx(0, abs=0.1)


def test_a_function_that_ended_is_a_broken_promise() -> None:
    away = [replace(moment, held={}) if index == 7 else moment for index, moment in enumerate(moments(30))]
    ended = steadiness(away)[0]
    assert (ended.value, ended.unit, ended.holds) == (1, "ingest", False)


def test_the_ledger_takes_webhooks_and_alerts() -> None:
    with ledger() as kept:
        kept.ask("a")
        kept.ask("b")
        for _ in range(2):
            httpx.post(kept.hook, json={"job_id": "a"}, trust_env=False).raise_for_status()
        assert not kept.wait(0)
        assert (len(kept.waiting), kept.ended, len(kept.told["a"])) == (1, 1, 2)
        httpx.post(kept.hook, json={"job_id": "b"}, trust_env=False).raise_for_status()
        httpx.post(kept.n8n, json={"title": "GpuBacklog"}, trust_env=False).raise_for_status()
        assert kept.wait(10)
        assert [body["title"] for _, body in kept.alerts] == ["GpuBacklog"]


def test_an_end_that_is_told_before_its_job_is_noted_counts() -> None:
    kept = Ledger("http://127.0.0.1")
    kept.receive("/hook", {"job_id": "a"})
    kept.ask("a")
    assert (kept.waiting, kept.wait(0)) == ([], True)
    assert kept.asked["a"] >= kept.told["a"][0] > time.monotonic() - 10


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "load.png", "small", moments(2), {30.0: "all accepted"})
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
