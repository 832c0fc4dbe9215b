"""Questions to Cloud Monitoring: a token that has run out is replaced, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.faults import CannotDeploy
from deploy.promql import Prometheus, Sample
from deploy.web import bearer


class Monitoring(BaseHTTPRequestHandler):
    """Takes the second token and no other."""

    def do_GET(self) -> None:
        fits = self.headers["Authorization"] == "Bearer t2"
        self.send_response(200 if fits else 401)
        self.end_headers()
        answer = {"data": {"result": [{"metric": {"a": "b"}, "value": [0, "3"]}]}} if fits else {}
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Monitoring) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_token_that_has_run_out_is_replaced(url: str) -> None:
    tokens = iter(("t1", "t2"))
    metrics = Prometheus(url, lambda: bearer(next(tokens)))
    assert [metrics.ask("up"), metrics.ask("up")] == [[Sample({"a": "b"}, 3.0)]] * 2


def test_who_is_not_let_in_is_told(url: str) -> None:
    with pytest.raises(CannotDeploy, match="401"):
        Prometheus(url, lambda: bearer("t1")).ask("up")
