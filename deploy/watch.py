"""Is the canary as good as what serves? Errors and latency of both, from Cloud Monitoring."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.promql import Metrics
from deploy.revisions import Service
from shared.errors import JobError
from shared.resources import Resources

#: Metrics are two to three minutes old when they come.
_PAUSE_SECONDS: Final = 30.0
#: Calls a revision must have answered before its numbers mean anything.
_ENOUGH_CALLS: Final = 20
#: The canary's share of 5xx may be this, and twice what serves has.
_ERROR_SHARE: Final = 0.01
_TIMES_WORSE: Final = 2.0
#: Its latency may be half as long again, and a bit.
_TIMES_SLOWER: Final = 1.5
_SLACK_MS: Final = 100.0
#: Looks in a row that must find it worse before the time is up.
_TWICE: Final = 2
#: Looks in a row that may fail: Cloud Monitoring has hiccups, too, and they say nothing of the canary.
_IN_VAIN: Final = 5

_OF: Final = 'monitored_resource="cloud_run_revision"'
_REVISIONS: Final = "sum by (revision_name, response_code_class)"


@dataclass(frozen=True, slots=True)
class Trial:
    """One service's canary beside what serves."""

    function: str
    canary: str
    serving: str
    #: A function that holds requests open is judged by its median: its slow calls are meant to be slow.
    quantile: float


@dataclass(frozen=True, slots=True)
class Numbers:
    calls: float
    errors: float
    latency_ms: float

    @property
    def error_share(self) -> float:
        return self.errors / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    worse: tuple[str, ...]
    #: Functions with too few calls to tell.
    unknown: tuple[str, ...]
    lines: tuple[str, ...]


def trials(services: Mapping[str, Service], resources: Resources) -> list[Trial]:
    return [
        Trial(function, service.canary, service.serving, 0.5 if resources.functions[function].max_held else 0.95)
        for function, service in services.items()
        if service.canary and service.canary != service.serving
    ]


def watch(
    metrics: Metrics,
    watched: Sequence[Trial],
    minutes: float,
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Verdict:
    """Look until the time is up, or until it was found worse twice in a row.

    A look that fails is no verdict, and another follows; the fifth in a row raises what it failed with.
    """
    started, worse_in_a_row, in_vain = clock(), 0, 0
    while True:
        passed = clock() - started
        try:
            verdict = judge(metrics, watched, window_seconds=max(60, int(passed)))
        except JobError as error:
            in_vain += 1
            if in_vain == _IN_VAIN:
                raise
            say(f"No numbers this time: {error.message}")
            pause(_PAUSE_SECONDS)
            continue
        in_vain = 0
        worse_in_a_row = worse_in_a_row + 1 if verdict.worse else 0
        if worse_in_a_row >= _TWICE or passed >= minutes * 60:
            for line in verdict.lines:
                say(line)
            return verdict
        pause(min(_PAUSE_SECONDS, max(0.0, minutes * 60 - passed)))


def judge(metrics: Metrics, watched: Sequence[Trial], window_seconds: int) -> Verdict:
    worse, unknown, lines = [], [], []
    for trial in watched:
        canary = numbers(metrics, trial.canary, trial.quantile, window_seconds)
        serving = numbers(metrics, trial.serving, trial.quantile, window_seconds)
        reasons = list(_faults(canary, serving))
        if canary.calls < _ENOUGH_CALLS and not reasons:
            unknown.append(trial.function)
        worse += [f"{trial.function}: {reason}" for reason in reasons]
        lines.append(
            f"{trial.function}: canary {canary.calls:.0f} calls, {canary.error_share:.1%} 5xx, "
            f"{canary.latency_ms:.0f} ms; before {serving.calls:.0f} calls, {serving.error_share:.1%} 5xx, "
            f"{serving.latency_ms:.0f} ms (p{trial.quantile * 100:.0f})"
        )
    return Verdict(tuple(worse), tuple(unknown), tuple(lines))


def numbers(metrics: Metrics, revision: str, quantile: float, window_seconds: int) -> Numbers:
    selector = f'{{{_OF}, revision_name="{revision}"}}[{window_seconds}s]'
    counted = metrics.ask(f"{_REVISIONS} (increase(run_googleapis_com:request_count{selector}))")
    spread = f"sum by (le) (increase(run_googleapis_com:request_latencies_bucket{selector}))"
    latency = metrics.ask(f"histogram_quantile({quantile}, {spread})")
    return Numbers(
        calls=sum(each.value for each in counted),
        errors=sum(each.value for each in counted if each.labels.get("response_code_class") == "5xx"),
        # No calls have no latency: not a number.
        latency_ms=next((each.value for each in latency if each.value == each.value), 0.0),
    )


def _faults(canary: Numbers, serving: Numbers) -> list[str]:
    faults = []
    # Three of five failing calls tell enough; one of one does not.
    if canary.errors >= 3 and canary.error_share > max(_ERROR_SHARE, _TIMES_WORSE * serving.error_share):
        faults.append(f"{canary.error_share:.1%} of its answers are 5xx, against {serving.error_share:.1%} before")
    both = canary.calls >= _ENOUGH_CALLS and serving.calls >= _ENOUGH_CALLS
    if both and canary.latency_ms > _TIMES_SLOWER * serving.latency_ms + _SLACK_MS:
        faults.append(f"{canary.latency_ms:.0f} ms, against {serving.latency_ms:.0f} ms before")
    return faults
