"""Two weeks of the hub's metrics, made up: a quiet week, and one with a bad Thursday."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from monitoring.review.weeks import Period

PERIOD = Period(datetime(2026, 11, 23, tzinfo=UTC), 7)
#: The bad hours: from Thursday noon on.
TROUBLE = datetime(2026, 11, 19, 12, tzinfo=UTC), datetime(2026, 11, 19, 18, tzinfo=UTC)
STEP = timedelta(minutes=2)

RUN, POD, FUNCTION = "cloud_run_job", "k8s_container", "cloud_run_revision"
_BUCKETS = (50, 100, 200, 400, 800, 1600, 3200)


def is_trouble(at: datetime) -> bool:
    return TROUBLE[0] <= at < TROUBLE[1]


def daytime(at: datetime) -> float:
    """0 at night, 1 at noon; less at the weekend."""
    height = max(0.0, math.sin(math.pi * (at.hour + at.minute / 60 - 6) / 14)) if 6 <= at.hour < 20 else 0.0
    return height * (0.35 if at.weekday() >= 5 else 1.0) * (1.0 if at >= PERIOD.start else 0.75)


@dataclass
class Recorder:
    """Series as Prometheus scrapes them: gauges as they are, counters ever growing."""

    samples: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    _totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def gauge(self, name: str, labels: Mapping[str, str], at: datetime, value: float) -> None:
        self.samples[_series(name, labels)].append((at.timestamp(), value))

    def count(self, name: str, labels: Mapping[str, str], at: datetime, more: float) -> None:
        series = _series(name, labels)
        self._totals[series] += more
        self.samples[series].append((at.timestamp(), self._totals[series]))

    def openmetrics(self) -> Iterator[str]:
        """https://prometheus.io/docs/specs/om/open_metrics_spec/, by series, as promtool wants it."""
        for series, samples in self.samples.items():
            for at, value in samples:
                yield f"{series} {value:g} {at:.0f}\n"
        yield "# EOF\n"


def _series(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}"


Maker = Callable[[Recorder, datetime, float, bool], None]


def waiting(to: Recorder, at: datetime, load: float, bad: bool) -> None:
    since = (at - TROUBLE[0]).total_seconds() / 3600
    backlog = 3 + 40 * load + (110 * math.sin(math.pi * since / 6) if bad else 0)
    # The cluster's filter changed when the week began, and its subscription's name with it.
    cluster = "gpu-gke-work-1a2b3c" if at > PERIOD.start else "gpu-gke-work"
    for name, share in (("gpu-work", 1.0), (cluster, 0.25)):
        labels = {"subscription_id": name}
        to.gauge(
            "pubsub_googleapis_com:subscription_num_undelivered_messages", labels, at, max(0, round(backlog * share))
        )
        to.gauge(
            "pubsub_googleapis_com:subscription_oldest_unacked_message_age", labels, at, (60 + backlog * 12) * share
        )


def queues(to: Recorder, at: datetime, load: float, bad: bool) -> None:
    for name, depth in (("cpu-tasks", 12 * load), ("webhooks", 30 if bad else 2 * load)):
        to.gauge("cloudtasks_googleapis_com:queue_depth", {"queue_id": name}, at, round(depth))


def gpu(to: Recorder, at: datetime, load: float, bad: bool) -> None:
    labels = {"monitored_resource": RUN, "job_name": "nca-toolkit-gpu-job"}
    name = "run_googleapis_com:container_gpu_utilizations"
    running = 2 if load else 0
    used = 0.97 if bad else 0.3 + 0.5 * load
    to.count(f"{name}_count", labels, at, running)
    to.count(f"{name}_sum", labels, at, running * used)
    if bad:
        to.gauge("DCGM_FI_DEV_GPU_UTIL", {"cluster": "nca-auto-gpu"}, at, 88)


def jobs(to: Recorder, at: datetime, load: float, bad: bool) -> None:
    done = 0.55 * load * (0.3 if bad else 1.0)
    to.count("logging_googleapis_com:user_job_succeeded", {"monitored_resource": RUN, "device": "cuda"}, at, done)
    to.count(
        "logging_googleapis_com:user_job_failed",
        {"monitored_resource": RUN, "code": "unavailable"},
        at,
        0.9 if bad else 0.008 * load,
    )
    to.count("logging_googleapis_com:user_dead_letter", {"monitored_resource": FUNCTION}, at, 0.02 if bad else 0.0)
    to.count(
        "logging_googleapis_com:user_job_cost_sum", {"monitored_resource": RUN}, at, done * (0.02 if bad else 0.012)
    )
    to.count("logging_googleapis_com:user_job_cost_sum", {"monitored_resource": FUNCTION}, at, 0.001 if bad else 0.0)


def sweeps(to: Recorder, at: datetime, load: float, bad: bool) -> None:
    to.count("logging_googleapis_com:user_sweep_done", {"monitored_resource": FUNCTION}, at, 2)


def answers(to: Recorder, at: datetime, load: float, bad: bool) -> None:
    labels = {"monitored_resource": FUNCTION, "service_name": "ingest", "response_code": "202"}
    name = "run_googleapis_com:request_latencies"
    requests, typical = 1 + 20 * load, 1300 if bad else 140 + 80 * load
    below = 0.0
    for bucket in _BUCKETS:
        below = requests / (1 + math.exp(-(math.log(bucket) - math.log(typical)) * 4))
        to.count(f"{name}_bucket", {**labels, "le": str(bucket)}, at, below)
    to.count(f"{name}_bucket", {**labels, "le": "+Inf"}, at, requests)
    to.count(f"{name}_count", labels, at, requests)


ALL: tuple[Maker, ...] = (waiting, queues, gpu, jobs, sweeps, answers)


def two_weeks(*makers: Maker, since: datetime = PERIOD.before - timedelta(hours=1)) -> Recorder:
    """From the beginning of the week before to the end of the one under review, unless it began later."""
    to = Recorder()
    at = since
    while at <= PERIOD.end:
        for make in makers or ALL:
            make(to, at, daytime(at), is_trouble(at))
        at += STEP
    return to
