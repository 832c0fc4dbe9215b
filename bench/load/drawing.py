"""One picture of a part: what waited, how long, who worked, and how much was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.load.watch import Moment

_INK, _GREY, _BLUE, _GREEN, _AMBER, _RED = "#1f2933", "#9aa5b1", "#2b6cb0", "#2f855a", "#d69e2e", "#c53030"
#: Throughput is the mean over so many moments.
_WINDOW: Final = 10


def draw(file: Path, title: str, moments: Sequence[Moment], marks: Mapping[float, str]) -> None:
    """Write a PNG."""
    figure = Figure(figsize=(11, 10), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", color=_INK, fontweight="bold")
    rows = figure.subplots(4, 1, sharex=True)
    seconds = [moment.at for moment in moments]
    for axes, label, values, color in (
        (rows[0], "backlog: jobs accepted, not ended", [float(each.waiting) for each in moments], _BLUE),
        (rows[1], "age of the oldest, seconds", [each.oldest for each in moments], _AMBER),
        (rows[2], "runners", [float(each.runners) for each in moments], _GREEN),
        (rows[3], "throughput, jobs a minute", _throughput(moments), _INK),
    ):
        _row(axes, label, seconds, values, color, marks)
    for at, text in marks.items():
        rows[0].annotate(text, (at, 1.0), xycoords=("data", "axes fraction"), color=_RED, fontsize=9, va="bottom")
    rows[-1].set_xlabel("seconds")
    figure.savefig(file)


def _row(
    axes: Axes, label: str, seconds: Sequence[float], values: Sequence[float], color: str, marks: Mapping[float, str]
) -> None:
    axes.step(seconds, values, where="post", color=color, linewidth=1.6)
    axes.fill_between(seconds, values, step="post", color=color, alpha=0.12, linewidth=0)
    for at in marks:
        axes.axvline(at, color=_RED, linewidth=1, linestyle=":")
    axes.set_title(label, loc="left", fontsize=10, color=_INK, pad=14 if marks else 6)
    axes.set_ylim(0, max([1.0, *values]) * 1.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_GREY, labelcolor=_INK)


def _throughput(moments: Sequence[Moment]) -> list[float]:
    rates = []
    for index, moment in enumerate(moments):
        before = moments[max(0, index - _WINDOW)]
        seconds = moment.at - before.at
        rates.append(60 * (moment.ended - before.ended) / seconds if seconds else 0.0)
    return rates
