"""Does a process grow? The slope of a straight line through the least it held, the time of warming up left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import linear_regression, mean
from typing import Final

from bench.load.watch import WORKERS, Held, Moment
from bench.report import Figure

#: Caches fill and pools grow in the first part of a life.
_WARM_UP: Final = 1 / 3
#: The rest of it in so many parts, and the least of each: what a job borrows for a moment is no growth.
_PARTS: Final = 12
#: A line through less says nothing, in seconds: then a slope is told and not judged.
_TELLING_SECONDS: Final = 500.0
#: A process may grow by so much in an hour: a tenth of itself, or so many MB; and so many descriptors.
_SHARE, _MEMORY, _DESCRIPTORS = 0.1, 10.0, 6.0
#: These keep what they were ever given, by design, and exist on this machine only.
_EMULATORS: Final = frozenset({"pubsub", "storage"})


def steadiness(moments: Sequence[Moment]) -> list[Figure]:
    """Memory and descriptors an hour, of each process over its own life; and what should have lived throughout."""
    names = sorted({name for moment in moments for name in moment.held})
    gone = [name for name in names if not name.startswith(WORKERS) and any(name not in each.held for each in moments)]
    figures = [Figure("soak: processes that ended, workers aside", len(gone), ", ".join(gone), "lower", 0)]
    for name in names:
        life = [(moment.at, moment.held[name]) for moment in moments if name in moment.held]
        figures += _growth(name, life[int(len(life) * _WARM_UP) :])
    return figures


def _growth(name: str, life: Sequence[tuple[float, Held]]) -> list[Figure]:
    if len(life) < _PARTS:
        return []
    judged = life[-1][0] - life[0][0] >= _TELLING_SECONDS and name not in _EMULATORS
    figures = []
    for what, unit, held_of, share, bound in (
        ("memory", "MB/h", _memory, _SHARE, _MEMORY),
        ("descriptors", "1/h", _descriptors, 0.0, _DESCRIPTORS),
    ):
        hours, least = _least(life, held_of)
        slope = linear_regression(hours, least).slope
        must = max(bound, share * mean(least)) if judged else None
        figures.append(Figure(f"soak: {name}, {what} (mean {mean(least):.0f})", slope, unit, "lower", must))
    return figures


def _least(life: Sequence[tuple[float, Held]], held_of: Callable[[Held], float]) -> tuple[list[float], list[float]]:
    """Of each part of the life, the hour of its middle and the least that was held in it."""
    bounds = [round(number * len(life) / _PARTS) for number in range(_PARTS + 1)]
    parts = [life[first:last] for first, last in pairwise(bounds)]
    return [mean(at for at, _ in part) / 3600 for part in parts], [
        min(held_of(held) for _, held in part) for part in parts
    ]


def _memory(held: Held) -> float:
    return held.memory


def _descriptors(held: Held) -> float:
    return float(held.descriptors)
