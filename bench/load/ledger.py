"""What was asked for and what came of it, as a caller knows it: by the webhooks, and at the end by the records."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from bench.report import Figure
from local.cloud import LocalCloud
from shared.job import State

#: How long the last marker may outlive the last webhook, in seconds.
_MARKERS_SECONDS: Final = 60.0


@dataclass
class Ledger:
    """Jobs by id, with the moments (monotonic) at which they were accepted and at which their ends were told."""

    url: str
    asked: dict[str, float] = field(default_factory=dict)
    told: dict[str, list[float]] = field(default_factory=dict)
    #: What an n8n workflow for alerts would have been sent, with the moment.
    alerts: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def hook(self) -> str:
        return f"{self.url}/hook"

    @property
    def n8n(self) -> str:
        return f"{self.url}/n8n"

    def ask(self, job_id: str) -> None:
        with self._changed:
            self.asked.setdefault(job_id, time.monotonic())

    def receive(self, path: str, body: dict[str, Any]) -> None:
        with self._changed:
            if path == "/hook":
                self.told.setdefault(body["job_id"], []).append(time.monotonic())
            else:
                self.alerts.append((time.monotonic(), body))
            self._changed.notify_all()

    @property
    def waiting(self) -> list[float]:
        """When each job was asked for that has not ended."""
        with self._changed:
            return [at for job_id, at in self.asked.items() if job_id not in self.told]

    @property
    def ended(self) -> int:
        return len(self.told)

    def wait(self, seconds: float) -> bool:
        """True once every job's end was told, False after so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self.asked.keys() <= self.told.keys(), seconds)

    def figures(self, cloud: LocalCloud, part: str) -> list[Figure]:
        """None lost, doubled, failed or stuck."""
        ends = time.monotonic() + _MARKERS_SECONDS
        while (stuck := len(list(cloud.services.store.open_jobs()))) and time.monotonic() < ends:
            time.sleep(1.0)
        records = [cloud.services.store.get(job_id) for job_id in self.asked]
        jobs = [seen.job for seen in records if seen is not None]
        counts = {
            "jobs": (len(self.asked), None),
            "lost: no record, or its end never told": (
                len(records) - len(jobs) + len(self.asked.keys() - self.told.keys()),
                0,
            ),
            "stuck: still open at the end": (stuck, 0),
            "failed": (sum(job.state is not State.SUCCEEDED for job in jobs), 0),
            "worked on more than once": (sum(job.attempt != 1 for job in jobs), 0),
            "told more than once": (sum(len(times) > 1 for times in self.told.values()), 0),
        }
        return [Figure(f"{part}: {what}", value, "", "lower", must) for what, (value, must) in counts.items()]


@contextmanager
def ledger() -> Iterator[Ledger]:
    """A ledger behind an HTTP server on loopback, which takes webhooks and alerts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.receive(self.path, json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Ledger(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="ledger")
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
