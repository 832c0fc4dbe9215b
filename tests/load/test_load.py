"""What the load test says of what it saw: a slope is a slope, and one job lost, doubled or stuck is told."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from bench.load.drawing import draw
from bench.load.ledger import Ledger, ledger
from bench.load.steadiness import steadiness
from bench.load.watch import Held, Moment


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


@pytest.mark.parametrize(
    ("growth", "leak", "kept"),
    [(0, 0, [True, True]), (5, 2, [True, True]), (60, 0, [False, True]), (0, 60, [True, False])],
)
def test_a_process_that_grows_is_told_from_one_that_warms_up(growth: float, leak: float, kept: list[bool]) -> None:
    memory, descriptors = steadiness(moments(30, growth=growth, leak=leak))
    assert memory.value == pytest.approx(growth, abs=0.1)
    assert descriptors.value == pytest.approx(leak, abs=2)
    assert [memory.holds, descriptors.holds] == kept


def test_a_short_soak_is_told_and_not_judged() -> None:
    assert [figure.must for figure in steadiness(moments(5, growth=1000))] == [None, None]
    assert steadiness(moments(0.1)) == []


def test_what_the_emulators_keep_is_not_judged() -> None:
    assert [figure.must for figure in steadiness(moments(30, growth=1000, name="storage"))] == [None, None]


def test_a_process_that_was_not_there_throughout_is_left_out() -> None:
    coming = [*moments(20, name="worker 1"), *moments(20, name="worker 2")]
    assert steadiness(coming) == []


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
