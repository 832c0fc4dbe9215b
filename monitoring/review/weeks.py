"""The answers of two weeks, laid side by side: lines for plots, and one number for each week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean
from typing import Protocol

from monitoring.review.prometheus import Point, Series
from monitoring.review.questions import PANELS, STEP, Key, Panel, Question
from shared.errors import InvalidRequest, Unavailable


class Source(Protocol):
    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        """Raises InvalidRequest, Unavailable."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days under review; those before are as many."""

    end: datetime
    days: int

    @property
    def length(self) -> timedelta:
        return timedelta(days=self.days)

    @property
    def start(self) -> datetime:
        return self.end - self.length

    @property
    def before(self) -> datetime:
        """When the period before this one began."""
        return self.start - self.length


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    this: tuple[Point, ...]
    #: Moved on by the period's length, so that both lie over each other.
    before: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for one question."""

    question: Question
    lines: tuple[Line, ...]
    #: Why there are no lines.
    problem: str | None = None
    #: False when the source refused or was silent: then nothing is known, not even that nothing happened.
    is_answered: bool = True

    @property
    def this(self) -> float | None:
        return _week(self.question, [line.this for line in self.lines])

    @property
    def before(self) -> float | None:
        return _week(self.question, [line.before for line in self.lines])

    def peak(self) -> tuple[datetime, float, str] | None:
        """When, how much, and of which line: this week's largest."""
        points = [(at, value, line.name) for line in self.lines for at, value in line.this]
        return max(points, key=lambda point: point[1], default=None)


@dataclass(frozen=True, slots=True)
class Weeks:
    period: Period
    answers: Mapping[Key, Answered]

    @property
    def since(self) -> datetime | None:
        """The end of the first hour of which anything is known; None when nothing is."""
        lines = [line for each in self.answers.values() for line in each.lines]
        before = [at - self.period.length for line in lines for at, _ in line.before]
        return min(before or [at for line in lines for at, _ in line.this], default=None)

    def of(self, panel: Panel) -> list[Answered]:
        return [self.answers[question.key] for question in panel.questions]

    @property
    def problems(self) -> list[tuple[Panel, Answered]]:
        return [(panel, each) for panel in PANELS for each in self.of(panel) if each.problem is not None]


def ask(source: Source, period: Period) -> Weeks:
    """Every question, over both weeks; what is not answered is in the answer's `problem`."""
    questions = [question for panel in PANELS for question in panel.questions]
    return Weeks(period, {question.key: _answer(source, question, period) for question in questions})


def _answer(source: Source, question: Question, period: Period) -> Answered:
    try:
        series = source.range(question.expr, period.before + STEP, period.end, STEP)
    except (InvalidRequest, Unavailable) as error:
        return Answered(question, (), f"not answered ({error.message})", is_answered=False)
    lines = tuple(sorted(_lines(question, series, period), key=lambda line: line.name))
    if any(line.this or line.before for line in lines):
        return Answered(question, lines)
    why = "no such thing was counted, or the metric does not exist" if question.is_event else "the metric has no data"
    return Answered(question, (), why)


def _lines(question: Question, series: Iterable[Series], period: Period) -> Iterable[Line]:
    for each in series:
        name = question.line.format(each.labels.get(question.by, "?")) if question.by else question.line
        yield Line(
            name,
            this=tuple(point for point in each.points if point[0] > period.start),
            before=tuple((at + period.length, value) for at, value in each.points if at <= period.start),
        )


def _week(question: Question, lines: Iterable[tuple[Point, ...]]) -> float | None:
    values = [value for points in lines for _, value in points]
    if not values:
        return None
    match question.week:
        case "sum":
            return sum(values)
        case "mean":
            return fmean(values)
        case "peak":
            return max(values)
