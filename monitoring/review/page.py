"""The page: one file of HTML that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from monitoring.review import plots
from monitoring.review.alerts import Fired
from monitoring.review.figures import Figure, figures
from monitoring.review.findings import findings
from monitoring.review.questions import PANELS, Panel
from monitoring.review.weeks import Answered, Period, Weeks
from monitoring.review.words import amount, change, length, moment

_TEMPLATE: Final = Path(__file__).with_name("page.html")


def page(weeks: Weeks, fired: Sequence[Fired], source: str) -> str:
    """`source` is where the numbers are from."""
    period = weeks.period
    queries = [f"# {panel.title}: {each.key}\n{each.expr}" for panel in PANELS for each in panel.questions]
    return Template(_TEMPLATE.read_text()).substitute(
        title=f"nca-fanout: the week to {period.end:%A} {period.end.day} {period.end:%B %Y}",
        period=escape(_period(period)),
        figures="".join(map(_figure, figures(weeks, fired))),
        findings="".join(f'<li class="{each.tone}">{escape(each.text)}</li>' for each in findings(weeks, fired)),
        panels="".join(_panel(panel, weeks.of(panel), period) for panel in PANELS),
        alerts=_alerts(fired, period),
        source=escape(f"Asked of {source}. Costs are estimates from list prices (shared/prices.toml), not the bill."),
        queries=escape("\n\n".join(queries)),
    )


def _period(period: Period) -> str:
    days = f"{period.start:%-d %B %H:%M} to {period.end:%-d %B %Y %H:%M} UTC"
    return f"{days}, beside the {period.days} days before"


def _figure(figure: Figure) -> str:
    moved = change(figure.this, figure.before)
    tone = _tone(figure)
    before = f"before: {amount(figure.before, figure.unit)}" if figure.before is not None else "before: no data"
    return (
        f'<div class="card"><span>{escape(figure.name)}</span><b>{escape(amount(figure.this, figure.unit))}</b>'
        f'<span class="{tone}">{escape(moved)}</span> <span>{escape(before)}</span></div>'
    )


def _tone(figure: Figure) -> str:
    """A change of less than a tenth is no news."""
    this, before = figure.this, figure.before
    if figure.worse is None or this is None or before is None or abs(this - before) <= 0.1 * before:
        return ""
    return "worse" if (this > before) == (figure.worse == "higher") else "better"


def _panel(panel: Panel, answers: Sequence[Answered], period: Period) -> str:
    svg = plots.panel(answers, period)
    picture = _picture(svg, f"{panel.title}, {panel.unit}") if svg else ""
    return (
        f'<div class="card"><h3>{escape(panel.title)}</h3> <span class="unit">{escape(panel.unit)}</span>'
        f'<p class="note">{escape(panel.note)}</p>{picture}{"".join(_missing(each) for each in answers)}</div>'
    )


def _missing(answer: Answered) -> str:
    if answer.problem is None:
        return ""
    name = answer.question.line if answer.question.by is None else answer.question.key
    return f'<p class="missing">No data for “{escape(name)}”: {escape(answer.problem)}.</p>'


def _alerts(fired: Sequence[Fired], period: Period) -> str:
    svg = plots.alerts(fired, period)
    quiet = sum(1 for each in fired if not each.this and each.problem is None)
    picture = _picture(svg, "when alerts' conditions held") if svg else ""
    unasked = "".join(
        f'<p class="missing">{escape(each.name)}: {escape(each.problem)}.</p>' for each in fired if each.problem
    )
    unasked += "".join(
        f'<p class="missing">{escape(each.name)}: judged from {moment(each.since)} on; no data before.</p>'
        for each in fired
        if each.since is not None
    )
    silent = f"{quiet} of {len(fired)} alerts were silent, or had no data."
    note = (
        "Their expressions, asked every five minutes: what is shorter is missed, and nothing waits out a rule's “for”."
    )
    return f'{picture}{_table(fired)}<p class="note">{silent} {note}</p>{unasked}'


def _table(fired: Iterable[Fired]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{escape(each.severity)}</td><td>{len(each.this)}</td>"
        f"<td>{length(each.held)}</td><td>{len(each.before)}</td></tr>"
        for each in fired
        if each.this or each.before
    )
    head = "<tr><th>alert</th><th>severity</th><th>times</th><th>in all</th><th>times the week before</th></tr>"
    return f"<table>{head}{rows}</table>" if rows else ""


def _picture(svg: str, description: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(description)}" src="data:image/svg+xml;base64,{data}">'
