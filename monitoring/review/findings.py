"""What stands out, in sentences: limits are those of the alerts, a change counts from a quarter on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from monitoring.review.alerts import Fired
from monitoring.review.figures import costs_of_a_job, failure_shares
from monitoring.review.questions import STEP, Key
from monitoring.review.weeks import Weeks
from monitoring.review.words import amount, change, hour, length, moment, times
from shared.settings import Settings

_CHANGE: Final = 0.25
_BACKLOG: Final = Settings.model_fields["gpu_backlog_limit"].default
_OLD_MINUTES: Final = 10
_SLOW_MS: Final = 1000
_FAILED_PERCENT: Final = 5
_GPU_IDLE, _GPU_FULL = 10, 95


@dataclass(frozen=True, slots=True)
class Finding:
    tone: Literal["bad", "good", "note"]
    text: str


def findings(weeks: Weeks, alerts: Iterable[Fired]) -> list[Finding]:
    """The bad first."""
    fired = list(alerts)
    parts = (_young, _jobs, _failures, _dead, _waiting, _gpus, _slow, _costs, _missing)
    found = [each for part in parts for each in part(weeks)] + list(_alerts(fired)) + list(_unjudged(fired, weeks))
    if weeks.answers[Key.SUCCEEDED].this is not None and not any(each.tone == "bad" for each in found):
        found.append(Finding("good", "As far as there is data, no limit was passed and no alert's condition held."))
    return sorted(found, key=lambda each: ("bad", "note", "good").index(each.tone))


def _young(weeks: Weeks) -> Iterator[Finding]:
    since = weeks.since
    if since is not None and since > weeks.period.start + STEP:
        yield Finding("note", f"This week is not whole: nothing is known from before {hour(since)}.")


def _jobs(weeks: Weeks) -> Iterator[Finding]:
    succeeded = weeks.answers[Key.SUCCEEDED]
    this, before = succeeded.this, succeeded.before
    if this is None:
        yield Finding("note", "No job succeeded, as far as the metrics know.")
        return
    words = f"{amount(round(this), 'jobs')} were done"
    if before is None:
        yield Finding("note", f"{words}; of the week before nothing is known.")
        return
    fell = this < before * (1 - _CHANGE)
    beside = f"after {amount(round(before), '')} the week before ({change(this, before)})"
    yield Finding("bad" if fell else "note", f"{words}, {beside}.")


def _failures(weeks: Weeks) -> Iterator[Finding]:
    this, before = failure_shares(weeks)
    if this is None or this < _FAILED_PERCENT:
        return
    peak = weeks.answers[Key.FAILED].peak()
    when = f"; most on {hour(peak[0])}" if peak else ""
    beside = f", after {amount(before, '%')} the week before" if before is not None else ""
    yield Finding("bad", f"{amount(this, '%')} of the jobs that ended had failed{beside}{when}.")


def _dead(weeks: Weeks) -> Iterator[Finding]:
    dead = weeks.answers[Key.DEAD]
    if number := round(dead.this or 0):
        words = "job was" if number == 1 else "jobs were"
        yield Finding("bad", f"{number} {words} dead-lettered: see docs/runbooks.md for how they are redriven.")


def _waiting(weeks: Weeks) -> Iterator[Finding]:
    backlog, oldest = weeks.answers[Key.BACKLOG].peak(), weeks.answers[Key.OLDEST].peak()
    if backlog and backlog[1] > _BACKLOG:
        at, number, name = backlog
        limit = f"above the {_BACKLOG} from which new work goes elsewhere"
        yield Finding("bad", f"The backlog of {name} peaked at {number:,.0f} on {hour(at)}, {limit}.")
    if oldest and oldest[1] > _OLD_MINUTES:
        at, minutes, name = oldest
        yield Finding("bad", f"A message of {name} was {minutes:,.0f} minutes old on {hour(at)}.")


def _gpus(weeks: Weeks) -> Iterator[Finding]:
    for key, name in ((Key.GPU_RUN, "The GPU Job's"), (Key.GPU_GKE, "The cluster's")):
        used = weeks.answers[key].this
        if used is not None and used < _GPU_IDLE:
            yield Finding("bad", f"{name} GPUs were {amount(used, '%')} busy while they ran: paid for, hardly used.")
        elif used is not None and used > _GPU_FULL:
            yield Finding("note", f"{name} GPUs were {amount(used, '%')} busy: more work will only wait longer.")


def _slow(weeks: Weeks) -> Iterator[Finding]:
    accept = weeks.answers[Key.ACCEPT]
    slow = [value for line in accept.lines for _, value in line.this if value > _SLOW_MS]
    peak = accept.peak()
    if slow and peak:
        worst = f"the worst {amount(peak[1] / 1000, 's')} on {hour(peak[0])}"
        hours = "one hour" if len(slow) == 1 else f"{len(slow)} hours"
        yield Finding("bad", f"In {hours} accepting a job took more than a second (p95), {worst}.")


def _costs(weeks: Weeks) -> Iterator[Finding]:
    cost, (job, job_before) = weeks.answers[Key.COST], costs_of_a_job(weeks)
    if cost.this is None:
        return
    each = f", {amount(job, '$')} for each that succeeded" if job is not None else ""
    yield Finding("note", f"Jobs cost about {amount(cost.this, '$')}{each}.")
    if job is None or not job_before or abs(job - job_before) < _CHANGE * job_before:
        return
    tone: Literal["bad", "good"] = "bad" if job > job_before else "good"
    beside = f"after {amount(job_before, '$')} the week before ({change(job, job_before)})"
    yield Finding(tone, f"A job cost {amount(job, '$')}, {beside}.")


def _missing(weeks: Weeks) -> Iterator[Finding]:
    if names := [f"{panel.title} ({each.question.key})" for panel, each in weeks.problems]:
        yield Finding("note", f"Without data: {', '.join(names)}; the panels say why.")


def _alerts(fired: list[Fired]) -> Iterator[Finding]:
    held = [each for each in fired if each.this]
    if not held:
        return
    first, *more = held
    others = f"; {len(more)} more alerts below" if len(more) > 1 else f"; {more[0].name}, too" if more else ""
    words = f"{first.name} held {times(len(first.this))}, for {length(first.held)} in all{others}."
    yield Finding("bad", words)


def _unjudged(fired: list[Fired], weeks: Weeks) -> Iterator[Finding]:
    if names := [each.name for each in fired if each.problem]:
        yield Finding("note", f"Not judged: {', '.join(names)}; the page says why.")
    for each in fired:
        if each.since is not None and each.since > weeks.period.start:
            yield Finding(
                "note", f"{each.name} is judged from {moment(each.since)} on: before, its metric has no data."
            )
