"""The week in a dozen numbers, each beside the week before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from monitoring.review.alerts import Fired
from monitoring.review.questions import Key
from monitoring.review.weeks import Weeks


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    unit: str
    this: float | None
    before: float | None
    #: What is worse; None where neither is.
    worse: Literal["higher", "lower"] | None = None


def figures(weeks: Weeks, alerts: Iterable[Fired]) -> list[Figure]:
    """In the order of the page."""
    answers, fired = weeks.answers, list(alerts)
    succeeded, cost = answers[Key.SUCCEEDED], answers[Key.COST]
    backlog, oldest = answers[Key.BACKLOG], answers[Key.OLDEST]
    run, gke, accept = answers[Key.GPU_RUN], answers[Key.GPU_GKE], answers[Key.ACCEPT]
    return [
        Figure("Jobs done", "", succeeded.this, succeeded.before, "lower"),
        Figure("Failed jobs", "%", *failure_shares(weeks), "higher"),
        Figure("Largest backlog", "", backlog.this, backlog.before, "higher"),
        Figure("Oldest message", "min", oldest.this, oldest.before, "higher"),
        Figure("GPU in use, Cloud Run", "%", run.this, run.before),
        Figure("GPU in use, GKE", "%", gke.this, gke.before),
        Figure("Accepting a job, p95", "ms", accept.this, accept.before, "higher"),
        Figure("Cost of jobs", "$", cost.this, cost.before, "higher"),
        Figure("Cost of a job", "$", *costs_of_a_job(weeks), "higher"),
        Figure(
            "Alerts",
            "",
            float(sum(len(each.this) for each in fired)),
            float(sum(len(each.before) for each in fired)),
            "higher",
        ),
    ]


def failure_shares(weeks: Weeks) -> tuple[float | None, float | None]:
    """Percent of the jobs that ended; without a series, none failed as far as is known."""
    succeeded, failed, dead = (weeks.answers[key] for key in (Key.SUCCEEDED, Key.FAILED, Key.DEAD))
    if not (succeeded.is_answered and failed.is_answered and dead.is_answered):
        return None, None
    return (
        _share(succeeded.this, (failed.this or 0) + (dead.this or 0)),
        _share(succeeded.before, (failed.before or 0) + (dead.before or 0)),
    )


def costs_of_a_job(weeks: Weeks) -> tuple[float | None, float | None]:
    """US dollars for each job that succeeded, what failed ones cost included."""
    cost, succeeded = weeks.answers[Key.COST], weeks.answers[Key.SUCCEEDED]
    return _ratio(cost.this, succeeded.this), _ratio(cost.before, succeeded.before)


def _share(good: float | None, bad: float) -> float | None:
    whole = (good or 0) + bad
    return 100 * bad / whole if whole else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
