"""The one metric that routing and the autoscaler look at, and a query endpoint that answers it like Prometheus.

The Pub/Sub emulator exports no metrics. "Undelivered messages" are those sent and not acknowledged, and a message
is acknowledged when its job is terminal: so the open jobs of a destination are the backlog of its subscription.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from shared.routing import Destination
from shared.store import JobStore


def backlog(store: JobStore, destination: Destination) -> int:
    """Open jobs bound for `destination`."""
    snapshots = (store.get(job_id) for job_id in store.open_jobs())
    return sum(
        1 for seen in snapshots if seen and seen.job.destination is destination and not seen.job.state.is_terminal
    )


def server(port: int, gpu_backlog: Callable[[], int]) -> ThreadingHTTPServer:
    """GET /api/v1/query (https://prometheus.io/docs/prometheus/latest/querying/api/), for gpu-work's backlog alone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
            known = 'subscription_id="gpu-work"' in query
            result = [{"metric": {}, "value": [time.time(), str(gpu_backlog())]}] if known else []
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: every routing decision asks."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
