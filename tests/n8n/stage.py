"""What the tests see of a local cloud and an n8n that know each other."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import httpx

from local.cloud import LocalCloud
from tests.fakes.loopback import Receiver
from tests.n8n.server import N8n
from tests.unit.http_server import LocalServer, Request, answer
from tests.waiting import eventually

ALERT_TOKEN, SUBMIT_TOKEN = "alerts-t0ken", "submit-t0ken"
#: Ids of the workflows; the second one is there thrice: with almost no patience, and with a file of its own to try.
ALERTS, SUBMIT, IMPATIENT, TRIED = "alerts", "submit-and-wait", "impatient", "tried"


@dataclass(frozen=True)
class Stage:
    cloud: LocalCloud
    n8n: N8n
    #: What stands for Slack: the two that the alerts workflow posts to, and the one that the relay falls back to.
    channel: Receiver
    pager: Receiver
    fallback: Receiver
    #: Files that jobs are about, and the server that has them.
    media: Path
    server: LocalServer
    _numbers: count[int] = field(default_factory=count)

    def source(self, name: str, gate: Event | None = None) -> str:
        """A URL of one of the files; until the gate is set, its readers have to wait."""
        path = f"/{next(self._numbers)}/{name}"
        serve = answer(200, (self.media / name).read_bytes())

        def reply(request: Request, connection: socket.socket, closing: Event) -> None:
            while gate and not gate.wait(0.05) and not closing.is_set():
                continue
            serve(request, connection, closing)

        self.server.replies[path] = reply
        return self.server.url(path)

    def alert(self, body: bytes) -> httpx.Response:
        """What Cloud Monitoring does."""
        url = self.cloud.endpoints.function("alert_relay")
        headers = {"Authorization": f"Bearer {self.cloud.profile.alert_token}"}
        return httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)

    def submit(self, source: str, workflow: str = SUBMIT, **more: object) -> httpx.Response:
        """What a caller of the second workflow does."""
        url = self.n8n.webhook("nca-submit" if workflow == SUBMIT else workflow)
        body = {"source": source, "operations": ["transcribe"], **more}
        return httpx.post(url, json=body, headers={"X-Token": SUBMIT_TOKEN}, timeout=90, trust_env=False)

    def job(self, job_id: str) -> dict[str, Any]:
        headers = {"X-API-Key": self.cloud.profile.api_key}
        answered = httpx.get(f"{self.cloud.url}/v1/jobs/{job_id}", headers=headers, timeout=30, trust_env=False)
        record: dict[str, Any] = answered.raise_for_status().json()
        return record

    def delivered(self, job_id: str) -> list[int | None]:
        """The answers that the hub's webhook got, once one of them is 2xx."""

        def look() -> list[int | None]:
            answers = [each["status"] for each in self.job(job_id)["webhook_tries"]]
            return answers if any(status and status < 300 for status in answers) else []

        return eventually(look, lambda: f"delivered: {self.job(job_id)}")
