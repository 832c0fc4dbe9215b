"""Figures as a table for people and as build/bench/<target>.json for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from rich.console import Console
from rich.table import Table

OUT: Final = Path(__file__).resolve().parent.parent / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `must` is a promise, `aim` a hope; `holds` says whether the promise is kept."""

    measure: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    must: float | None = None
    aim: float | None = None

    @property
    def holds(self) -> bool:
        if self.must is None:
            return True
        return self.value <= self.must if self.better == "lower" else self.value >= self.must


def publish(target: str, title: str, figures: Sequence[Figure]) -> bool:
    """Print and write the figures; answers whether every promise is kept."""
    OUT.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(figure), "holds": figure.holds} for figure in figures]
    (OUT / f"{target}.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = Table(title=f"{title}\n{machine()}", title_justify="left")
    for heading in ("measure", "value", "unit", "must", "aim", "holds"):
        table.add_column(heading, justify="left" if heading in ("measure", "unit") else "right")
    for figure in figures:
        bounds = ("" if bound is None else f"{bound:g}" for bound in (figure.must, figure.aim))
        holds = "" if figure.must is None else ("yes" if figure.holds else "NO")
        table.add_row(figure.measure, f"{figure.value:.4g}", figure.unit, *bounds, holds)
    Console().print(table)
    return all(figure.holds for figure in figures)


def machine() -> str:
    """The facts a figure depends on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    frameworks = ", ".join(f"{name} {version(name)}" for name in ("functions-framework", "google-cloud-storage"))
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {frameworks}"
