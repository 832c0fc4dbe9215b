"""What functions, executions and pods find in their environment: the settings of shared/settings.py, by their names."""

from __future__ import annotations

import re
from typing import Final

from deploy.manifests import FIXED_SETTINGS
from deploy.situation import Situation, gpu_file_types
from deploy.target import Target
from shared.lanes import Priority
from shared.settings import CLOUD_TRACE

#: The part of a worker's memory that sources may take: /tmp is memory on Cloud Run, and the model, the artifacts
#: and the program want theirs.
_SOURCE_SHARE: Final = 0.5
_BYTES: Final = {"Mi": 2**20, "Gi": 2**30}


def settings(target: Target, situation: Situation) -> dict[str, str]:
    """The block that all have in common."""
    resources = target.resources
    work, gke_work = _pulled(target, resources.jobs["gpu"].account), _pulled(target, resources.gke.account)
    called = resources.accounts[target.invoker].calls
    return {
        "PROJECT": target.project,
        "REGION": target.region,
        "GPU_REGION": target.gpu_region,
        "UPLOADS_BUCKET": target.bucket("uploads"),
        "RESULTS_BUCKET": target.bucket("results"),
        "STATE_BUCKET": target.bucket("state"),
        "INGEST_URL": target.url("ingest"),
        "DISPATCH_URL": target.url("dispatch"),
        "DELIVER_URL": target.url("deliver"),
        "GPU_JOB": resources.jobs["gpu"].name,
        "CPU_JOB": resources.jobs["cpu"].name,
        "GPU_SUBSCRIPTION": situation.subscription(work[Priority.NORMAL]),
        "GPU_HIGH_SUBSCRIPTION": situation.subscription(work[Priority.HIGH]),
        "GKE_SUBSCRIPTION": situation.subscription(gke_work[Priority.NORMAL]),
        "GKE_HIGH_SUBSCRIPTION": situation.subscription(gke_work[Priority.HIGH]),
        "GPU_FILE_TYPES": ",".join(sorted(gpu_file_types(target))),
        "ENABLE_GKE_ROUTE": str(situation.gke_route).lower(),
        "ACK_DEADLINE_SECONDS": str(resources.subscriptions[work[Priority.NORMAL]].ack_deadline),
        "MAX_SOURCE_BYTES": str(max_source_bytes(target)),
        "WORKER_CONCURRENCY": str(resources.jobs["gpu"].files_at_once),
        "PROMQL_URL": f"https://monitoring.googleapis.com/v1/projects/{target.project}/location/global/prometheus",
        "INVOKER_ACCOUNTS": target.account(target.invoker),
        "TASKS_ACCOUNT": target.account(target.invoker),
        "AUDIENCES": ",".join(target.url(function) for function in called),
        "TRACES": CLOUD_TRACE,
        **{name: value for name, value in target.settings.items() if name != "GPU_FILE_TYPES"},
    }


def of_function(target: Target, situation: Situation, name: str) -> dict[str, str]:
    """As many threads in each process as its instance takes requests: no accepted one waits for a thread."""
    function = target.resources.functions[name]
    return {
        **settings(target, situation),
        "WORKERS": str(function.workers),
        "THREADS": str(function.concurrency),
        "CLOUD_RUN_TIMEOUT_SECONDS": str(function.timeout),
    }


def of_job(target: Target, situation: Situation, name: str) -> dict[str, str]:
    job = target.resources.jobs[name]
    return {
        **settings(target, situation),
        "TASK_TIMEOUT_SECONDS": str(job.task_timeout),
        **({"REQUIRE_GPU": "true"} if job.gpu else {}),
    }


def of_pod(target: Target, situation: Situation) -> dict[str, str]:
    """A ConfigMap's content: what the Deployment fixes itself is left to it."""
    return {name: value for name, value in settings(target, situation).items() if name not in FIXED_SETTINGS}


def max_source_bytes(target: Target) -> int:
    smallest = min(_bytes(job.memory) / job.files_at_once for job in target.resources.jobs.values())
    return int(smallest * _SOURCE_SHARE)


def _pulled(target: Target, account: str) -> dict[Priority | None, str]:
    """The subscriptions that the account's workers pull, by their lanes."""
    resources = target.resources
    return {resources.subscriptions[name].priority: name for name in resources.accounts[account].subscriptions}


def _bytes(memory: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", memory).groups()  # type: ignore[union-attr]
    return int(number) * _BYTES[unit]
