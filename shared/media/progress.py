"""How far a job is, over all of its stages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from shared.processor import Report

_MIN_SECONDS: Final = 0.25


class Progress:
    """Turns a stage's own fraction into a percentage of the whole that never goes back."""

    def __init__(self, report: Report, weights: Mapping[str, float], *, start: float = 0.0, last: str = "") -> None:
        """`weights` holds each stage, in order, with its share of the work in any unit.

        `start` percent are done already, of which `last` was the last stage.
        """
        self._report = report
        unit = (100.0 - start) / (sum(weights.values()) or 1.0)
        self._spans: dict[str, tuple[float, float]] = {}
        done = start
        for stage, weight in weights.items():
            self._spans[stage] = (done, unit * weight)
            done += unit * weight
        self._percent = start
        self._stage = last
        self._reported_at = float("-inf")

    def at(self, stage: str, fraction: float) -> None:
        """Say that a stage is this far (0 to 1). Cheap enough for every frame: most calls are left out."""
        start, span = self._spans.get(stage, (self._percent, 0.0))
        self._percent = max(self._percent, start + span * min(max(fraction, 0.0), 1.0))
        now = time.monotonic()
        if stage != self._stage or now - self._reported_at >= _MIN_SECONDS:
            self._stage, self._reported_at = stage, now
            self._report(stage, round(self._percent, 1))

    def again(self) -> None:
        """Say the same once more: what reports raise must be seen while nothing goes on."""
        self._report(self._stage, round(self._percent, 1))
