"""Plays scenarios, and looks at every promise after each."""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos import promises, scenarios
from tests.chaos.catalogue import SCENARIOS, Scenario
from tests.chaos.hub import Hub
from tests.chaos.seeds import settle
from tests.waiting import eventually

__all__ = ["Played", "play", "scenarios"]


@dataclass(frozen=True)
class Played:
    name: str
    faults: tuple[int, ...]
    promises: tuple[int, ...]
    jobs: int
    struck: int
    broken: tuple[str, ...]
    seconds: float


def play(hub: Hub, scenario: Scenario) -> Played:
    """Put its faults in; what came of it, and which promises were not kept."""
    begun = time.monotonic()
    hub.reset()
    before = set(hub.asked)
    broken = []
    try:
        scenario.play(hub)
    except Exception as error:  # one that breaks must not keep the others from being played
        broken.append(f"the scenario: {_where(error)}")
    else:
        broken += never_struck(hub)
    # Faults that have not struck yet are not to strike what settles.
    struck = len(hub.plan.struck)
    hub.plan.planned.clear()
    asked = [each for job_id, each in hub.asked.items() if job_id not in before]
    settle(hub, asked)
    broken += promises.broken(hub, asked)
    seconds = round(time.monotonic() - begun, 2)
    return Played(scenario.name, scenario.faults, scenario.promises, len(asked), struck, tuple(broken), seconds)


def never_struck(hub: Hub, *, within_s: float = 20.0) -> list[str]:
    """What was planned and did not happen, though it was given some time: such a scenario has shown nothing."""
    with suppress(AssertionError):
        eventually(lambda: not hub.plan.waiting() and not hub.plan.due, within_s=within_s)
    waiting = [f"never struck: {fault} ({fault.struck} times)" for fault in hub.plan.waiting()]
    return waiting + [f"never met: {trouble}" for trouble in hub.unmet()]


def _where(error: Exception) -> str:
    frame = next(each for each in reversed(traceback.extract_tb(error.__traceback__)) if "scenarios" in each.filename)
    return f"{frame.name}, line {frame.lineno}: {frame.line}: {type(error).__name__}: {error}"


def chosen(words: list[str]) -> list[Scenario]:
    """All scenarios, or those whose name holds one of the words, or whose fault is one of the numbers."""
    return [
        each
        for each in SCENARIOS
        if not words or any(word in each.name or word in map(str, each.faults) for word in words)
    ]
