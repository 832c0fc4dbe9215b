"""What Cloud Monitoring would know of the local cloud, under the names that PromQL has for it there.

The Pub/Sub emulator exports no metrics. "Undelivered messages" are those sent and not acknowledged, and a message
is acknowledged when its job is terminal: so the open jobs of a destination are the backlog of its subscription.

`server` answers the queries that routing and admission ask, without a Prometheus; `platform_samples` is what a
Prometheus is given (local.monitoring). Not there: requests to functions, push subscriptions, pods, GPUs.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

from local.exposition import Sample
from local.jobs import CloudRunJobs
from local.tasks import CloudTasks
from shared.job import Job
from shared.lanes import Priority
from shared.routing import Destination
from shared.store import JobStore

#: Whose backlog the open jobs of a destination and priority are.
_SUBSCRIPTIONS: Final = {
    (Destination.GPU, Priority.HIGH): "gpu-work-high",
    (Destination.GPU, Priority.NORMAL): "gpu-work",
    (Destination.GKE, Priority.HIGH): "gpu-gke-work-high",
    (Destination.GKE, Priority.NORMAL): "gpu-gke-work",
}
_Lane = tuple[Destination | None, Priority]
#: What is known of an open job, its destination above all, may be so old: a busy machine reads a hundred records for
#: longer than Prometheus waits. Which jobs are open is asked each time.
_KNOWN_SECONDS: Final = 10.0


class OpenJobs:
    """The jobs that have not ended, for whoever asks often."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._known: dict[str, tuple[float, Job]] = {}

    def __iter__(self) -> Iterator[Job]:
        before, self._known = self._known, {}
        now = time.monotonic()
        for job_id in self._store.open_jobs():
            read_at, job = before.get(job_id, (-math.inf, None))
            if job is None or now - read_at > _KNOWN_SECONDS:
                seen = self._store.get(job_id)
                read_at, job = now, seen.job if seen else None
            if job is not None:
                self._known[job_id] = read_at, job
                if not job.state.is_terminal:
                    yield job


def backlog(store: JobStore, destination: Destination) -> int:
    """Open jobs bound for `destination`."""
    snapshots = (store.get(job_id) for job_id in store.open_jobs())
    return sum(
        1 for seen in snapshots if seen and seen.job.destination is destination and not seen.job.state.is_terminal
    )


def whole_backlog(store: JobStore) -> int:
    """Open jobs of all routes, by their markers: who asks waits no longer than for one listing."""
    return sum(1 for _ in store.open_jobs())


def platform_samples(
    open_jobs: Iterable[Job], now: datetime, tasks: CloudTasks, jobs: CloudRunJobs
) -> Iterator[Sample]:
    """Backlog and age of the pulled subscriptions, depth of the queues, executions; names in platform-metrics.yaml."""
    yield from _subscriptions(open_jobs, now)
    for queue, depth in tasks.depths().items():
        yield Sample("cloudtasks_googleapis_com:queue_depth", depth, {"queue_id": queue})
    for job, running in jobs.running_counts().items():
        labels = {"monitored_resource": "cloud_run_job", "job_name": job}
        yield Sample("run_googleapis_com:job_running_executions", running, labels)
    for (job, result), completed in jobs.completed_counts().items():
        labels = {"monitored_resource": "cloud_run_job", "job_name": job, "result": result}
        yield Sample("run_googleapis_com:job_completed_execution_count", completed, labels)


def _subscriptions(open_jobs: Iterable[Job], now: datetime) -> Iterator[Sample]:
    waiting: Counter[_Lane] = Counter()
    oldest: dict[_Lane, datetime] = {}
    for job in open_jobs:
        where = job.destination, job.priority
        waiting[where] += 1
        oldest[where] = min(job.queued_at, oldest.get(where, job.queued_at))
    for where, name in _SUBSCRIPTIONS.items():
        labels = {"subscription_id": name}
        age = (now - oldest[where]).total_seconds() if where in oldest else 0.0
        yield Sample("pubsub_googleapis_com:subscription_num_undelivered_messages", waiting[where], labels)
        yield Sample("pubsub_googleapis_com:subscription_oldest_unacked_message_age", max(0.0, age), labels)


def server(port: int, answers: Mapping[str, Callable[[], int]]) -> ThreadingHTTPServer:
    """GET /api/v1/query (https://prometheus.io/docs/prometheus/latest/querying/api/), for these queries alone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
            known = answers.get(query)
            result = [{"metric": {}, "value": [time.time(), str(known())]}] if known else []
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asks gives up after a while, on a busy machine
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: every routing decision asks."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
