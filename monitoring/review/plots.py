"""One picture for each panel: this week in colour, the week before in grey behind it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from monitoring.review.alerts import Fired
from monitoring.review.prometheus import Point
from monitoring.review.questions import STEP
from monitoring.review.weeks import Answered, Period

_COLOURS: Final = ("#2563eb", "#d97706", "#0d9488")
_BEFORE: Final = "#b4bac5"
_INK, _FAINT, _GRID = "#374151", "#6b7280", "#e8eaee"
_SEVERITIES: Final = {"critical": "#dc2626", "warning": "#d97706"}
_INCHES: Final = (6.2, 2.5)
_ALERT_INCHES: Final = 0.27

mpl.use("svg")
# Text stays text: small, and as sharp as the page's.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "review", "font.sans-serif": ["DejaVu Sans"]})


def panel(answers: Sequence[Answered], period: Period) -> str | None:
    """SVG of a panel's lines; None when there are none."""
    lines = [(line, answer) for answer in answers for line in answer.lines]
    if not lines:
        return None
    figure, axes = _axes(_INCHES, period)
    for line, _ in lines:
        axes.plot(*_unbroken(line.before), color=_BEFORE, linewidth=1.4, zorder=2)
    for number, (line, answer) in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        at, values = _unbroken(line.this)
        axes.plot(at, values, color=colour, linewidth=1.6, label=line.name, zorder=3)
        if answer.question.week == "sum":
            axes.fill_between(at, values, color=colour, alpha=0.12, linewidth=0, zorder=1)
    axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.08 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if len(lines) > 1:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1, 0.99),
            ncols=3,
            frameon=False,
            fontsize=8,
            labelcolor=_INK,
            borderpad=0,
        )
    return _svg(figure)


def alerts(fired: Sequence[Fired], period: Period) -> str | None:
    """A bar for each time that an alert's condition held; None when none did."""
    held = [each for each in fired if each.this]
    if not held:
        return None
    figure, axes = _axes((2 * _INCHES[0], 0.6 + _ALERT_INCHES * len(held)), period)
    for row, each in enumerate(reversed(held)):
        bars = [(_days(episode.start), _days(episode.end) - _days(episode.start)) for episode in each.this]
        axes.broken_barh(bars, (row - 0.3, 0.6), color=_SEVERITIES.get(each.severity, _INK))
    axes.set_yticks(range(len(held)), [each.name for each in reversed(held)])
    axes.set_ylim(-0.6, len(held) - 0.4)
    return _svg(figure)


def _axes(inches: tuple[float, float], period: Period) -> tuple[Figure, Axes]:
    figure = Figure(figsize=inches, layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(_days(period.start), _days(period.end))
    days = _midnights(period)
    axes.set_xticks([_days(day) for day in days], [f"{day:%a} {day.day}" for day in days])
    axes.tick_params(axis="both", which="both", length=0, labelsize=8, labelcolor=_FAINT)
    axes.tick_params(axis="x", pad=6)
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return figure, axes


def _midnights(period: Period) -> list[datetime]:
    midnight = period.start.replace(hour=0)
    first = midnight if midnight == period.start else midnight + timedelta(days=1)
    apart = max(1, period.days // 10)
    days = (first + timedelta(days=number) for number in range(0, period.days + 1, apart))
    return [day for day in days if day <= period.end]


def _unbroken(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Numbers for matplotlib; hours without data break the line."""
    at: list[float] = []
    values: list[float] = []
    last: datetime | None = None
    for time, value in points:
        if last is not None and time - last > STEP * 1.5:
            at.append(_days(last + timedelta(seconds=1)))
            values.append(float("nan"))
        at.append(_days(time))
        values.append(value)
        last = time
    return at, values


def _days(time: datetime) -> float:
    """As matplotlib counts dates: days since 1970."""
    return time.timestamp() / 86_400


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    # Laid out with the font that matplotlib brings, which is wider; read in the page's.
    return out.getvalue().replace("'DejaVu Sans', sans-serif", "Arial, 'Liberation Sans', sans-serif")
