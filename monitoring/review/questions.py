"""All that the review asks, in PromQL; the metrics are those of the alerts (platform-metrics.yaml, log-metrics/).

Every answer's point covers the hour before it, so that the sum of a week's points is the week's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal

from shared.resources import declared

STEP: Final = timedelta(hours=1)

_GPU_JOB: Final = declared().jobs["gpu"].name
_CLUSTER: Final = declared().gke.cluster
#: A subscription whose filter changed is a new one of another name, as the alerts know.
_PULLED: Final = 'subscription_id=~"gpu-work(-.+)?|gpu-gke-work(-.+)?"'
_ON_RUN: Final = f'monitored_resource="cloud_run_job", job_name="{_GPU_JOB}"'
_ACCEPTED: Final = 'monitored_resource="cloud_run_revision", service_name="ingest", response_code="202"'
#: What logs: workers on Cloud Run and on GKE, and functions.
_WORKERS: Final = ("cloud_run_job", "k8s_container")
_FUNCTIONS: Final = "cloud_run_revision"
_GPU: Final = "run_googleapis_com:container_gpu_utilizations"


class Key(StrEnum):
    BACKLOG = "backlog"
    OLDEST = "oldest"
    QUEUES = "queues"
    GPU_RUN = "gpu-run"
    GPU_GKE = "gpu-gke"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    ACCEPT = "accept"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Question:
    key: Key
    #: What one line shows; `{}` stands for the value of `by`.
    line: str
    expr: str
    #: How hours become a week.
    week: Literal["sum", "mean", "peak"]
    #: The label that tells lines apart.
    by: str | None = None
    #: For things that are counted when they happen: no series may mean that none did.
    is_event: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    #: What one point is, in words.
    note: str
    questions: tuple[Question, ...]


def _counted(metric: str, *resources: str) -> str:
    """An hour's count of what is logged by these kinds of resource."""
    where = (f'{metric}{{monitored_resource="{resource}"}}[1h]' for resource in resources)
    return "sum({})".format(" or ".join(f"increase({each})" for each in where))


PANELS: Final = (
    Panel(
        "Waiting GPU work",
        "messages",
        "largest number in the hour, running jobs included",
        (
            Question(
                Key.BACKLOG,
                "{}",
                "max by (subscription_id) (max_over_time("
                f"pubsub_googleapis_com:subscription_num_undelivered_messages{{{_PULLED}}}[1h]))",
                "peak",
                by="subscription_id",
            ),
        ),
    ),
    Panel(
        "Oldest message",
        "minutes",
        "greatest age in the hour, a running job's included",
        (
            Question(
                Key.OLDEST,
                "{}",
                "max by (subscription_id) (max_over_time("
                f"pubsub_googleapis_com:subscription_oldest_unacked_message_age{{{_PULLED}}}[1h])) / 60",
                "peak",
                by="subscription_id",
            ),
        ),
    ),
    Panel(
        "Tasks",
        "tasks",
        "greatest depth of a queue in the hour; webhooks planned for later count",
        (
            Question(
                Key.QUEUES,
                "{}",
                "max by (queue_id) (max_over_time("
                'cloudtasks_googleapis_com:queue_depth{queue_id=~"cpu-tasks|cpu-tasks-high|webhooks"}[1h]))',
                "peak",
                by="queue_id",
            ),
        ),
    ),
    Panel(
        "GPU utilisation",
        "%",
        "mean of the hour, over machines that run",
        (
            Question(
                Key.GPU_RUN,
                "Cloud Run",
                f"100 * sum(increase({_GPU}_sum{{{_ON_RUN}}}[1h])) / sum(increase({_GPU}_count{{{_ON_RUN}}}[1h]))",
                "mean",
            ),
            Question(
                Key.GPU_GKE, "GKE", f'avg(avg_over_time(DCGM_FI_DEV_GPU_UTIL{{cluster="{_CLUSTER}"}}[1h]))', "mean"
            ),
        ),
    ),
    Panel(
        "Throughput",
        "jobs an hour",
        "jobs that succeeded",
        (
            Question(
                Key.SUCCEEDED,
                "succeeded",
                _counted("logging_googleapis_com:user_job_succeeded", *_WORKERS),
                "sum",
                is_event=True,
            ),
        ),
    ),
    Panel(
        "Failures",
        "jobs an hour",
        "failed: refused for good; dead-lettered: given up after five attempts",
        (
            Question(
                Key.FAILED,
                "failed",
                _counted("logging_googleapis_com:user_job_failed", *_WORKERS),
                "sum",
                is_event=True,
            ),
            Question(
                Key.DEAD,
                "dead-lettered",
                _counted("logging_googleapis_com:user_dead_letter", _FUNCTIONS),
                "sum",
                is_event=True,
            ),
        ),
    ),
    Panel(
        "Time to accept a job",
        "ms",
        "95th percentile of the hour's answers 202",
        (
            Question(
                Key.ACCEPT,
                "p95",
                "histogram_quantile(0.95, sum by (le) "
                f"(increase(run_googleapis_com:request_latencies_bucket{{{_ACCEPTED}}}[1h])))",
                "mean",
            ),
        ),
    ),
    Panel(
        "Cost of jobs",
        "USD an hour",
        "an estimate from list prices: machines while they work on jobs, not the bill",
        (
            Question(
                Key.COST,
                "jobs",
                # A job that is given up, marked by its dead letter or cancelled has its cost told by a function.
                _counted("logging_googleapis_com:user_job_cost_sum", *_WORKERS, _FUNCTIONS),
                "sum",
                is_event=True,
            ),
        ),
    ),
)
