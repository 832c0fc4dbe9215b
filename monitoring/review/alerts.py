"""Which alerts' conditions held, and for how long: their own expressions, asked of both weeks.

Cloud Monitoring keeps no series of its alerts (Prometheus does, as ALERTS), so the rules are asked again. A look every
five minutes misses what is shorter, and counts what a rule's `for` would have waited out.

An alert that tells of a silence is judged from the first look on at which its metric had data: before, a Prometheus was
not there yet, or a part of the hub was not; which of both, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitoring.review.weeks import Period, Source
from monitoring.rules import Rule
from shared.errors import InvalidRequest, Unavailable

LOOK: Final = timedelta(minutes=5)
_MINUTES: Final = LOOK // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Episode:
    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Fired:
    """One alert's two weeks."""

    name: str
    severity: str
    this: tuple[Episode, ...]
    before: tuple[Episode, ...]
    problem: str | None = None
    #: From when on it could be judged, where that is not from the beginning.
    since: datetime | None = None

    @property
    def held(self) -> timedelta:
        return sum((each.length for each in self.this), timedelta())


def fired(source: Source, rules: Iterable[Rule], period: Period) -> tuple[Fired, ...]:
    """Every rule, those that held longest first."""
    return tuple(sorted((_fired(source, rule, period) for rule in rules), key=lambda each: (-each.held, each.name)))


def _fired(source: Source, rule: Rule, period: Period) -> Fired:
    severity, first = rule.labels["severity"], period.before + LOOK
    since: datetime | None = first
    try:
        if rule.absent is not None:
            since = min(
                _looks(source, f"count(count_over_time({rule.absent}[{_MINUTES}m]))", first, period), default=None
            )
        if since is None:
            return Fired(rule.name, severity, (), (), f"not judged, since there is no data of {rule.absent}")
        times = sorted(_looks(source, rule.expr, since, period))
    except (InvalidRequest, Unavailable) as error:
        return Fired(rule.name, severity, (), (), f"not answered ({error.message})")
    this = tuple(episodes(at for at in times if at > period.start))
    before = tuple(episodes(at for at in times if at <= period.start))
    return Fired(rule.name, severity, this, before, since=since if since > first else None)


def _looks(source: Source, query: str, start: datetime, period: Period) -> set[datetime]:
    """Those at which the query answers anything."""
    return {at for each in source.range(query, start, period.end, LOOK) for at, _ in each.points}


def episodes(times: Iterable[datetime]) -> Iterator[Episode]:
    """Looks that follow each other are one episode; each speaks for the time since the look before."""
    start: datetime | None = None
    last: datetime | None = None
    for at in times:
        if start is None or last is None:
            start = at - LOOK
        elif at - last > LOOK:
            yield Episode(start, last)
            start = at - LOOK
        last = at
    if start is not None and last is not None:
        yield Episode(start, last)
