"""Figures as a table for people and as build/bench/<target>.json for programs."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, Self

from rich.console import Console
from rich.table import Table

OUT: Final = Path(__file__).resolve().parent.parent / "build" / "bench"
_PAGE_WIDTH: Final = 150

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `must` is a promise, `aim` a hope; `holds` says whether the promise is kept."""

    measure: str
    value: float
    unit: str
    better: Better
    must: float | None = None
    aim: float | None = None
    #: Where it was measured several times: each time's value, of which `value` is the median.
    rounds: tuple[float, ...] = ()

    @classmethod
    def median(
        cls,
        measure: str,
        rounds: Sequence[float],
        unit: str,
        better: Better,
        must: float | None = None,
        aim: float | None = None,
    ) -> Self:
        return cls(measure, statistics.median(rounds), unit, better, must, aim, tuple(rounds))

    @property
    def holds(self) -> bool:
        return self._reaches(self.must)

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        return "missed" if not self.holds else "ok" if not self._reaches(self.aim) else "ok, and the aim"

    def _reaches(self, bound: float | None) -> bool:
        if bound is None:
            return True
        return self.value <= bound if self.better == "lower" else self.value >= bound


def publish(
    target: str,
    title: str,
    figures: Sequence[Figure],
    *,
    left_out: Mapping[str, str] | None = None,
    out: Path = OUT,
) -> bool:
    """Print and write the figures; answers whether every promise is kept.

    `left_out` is what could not be measured here, each with the reason.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = [{**asdict(figure), "holds": figure.holds} for figure in figures]
    rows += [{"measure": measure, "left_out": reason} for measure, reason in (left_out or {}).items()]
    (out / f"{target}.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = Table(title=f"{title}\n{machine()}", title_justify="left")
    for heading in ("measure", "value", "unit", "rounds", "must", "aim", "verdict"):
        table.add_column(heading, justify="left" if heading in ("measure", "unit", "verdict") else "right")
    for figure in figures:
        spread = f"{min(figure.rounds):.4g} … {max(figure.rounds):.4g}" if len(figure.rounds) > 1 else ""
        bounds = ("" if bound is None else f"{bound:g}" for bound in (figure.must, figure.aim))
        table.add_row(figure.measure, f"{figure.value:.4g}", figure.unit, spread, *bounds, figure.verdict)
    for measure, reason in (left_out or {}).items():
        table.add_row(measure, "", "", "", "", "", f"left out: {reason}")
    # A pipe or a log has no width of its own.
    Console(width=None if sys.stdout.isatty() else _PAGE_WIDTH).print(table)
    return all(figure.holds for figure in figures)


def machine() -> str:
    """The facts a figure depends on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    frameworks = ", ".join(f"{name} {version(name)}" for name in ("functions-framework", "google-cloud-storage"))
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {frameworks}"
