"""Prometheus' text format, and the endpoint that it is scraped from.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self

from local.ports import LOOPBACK
from shared.errors import JobError


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its present value."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels.items())
        return f"{self.name}{{{labels}}} {self.value:g}" if labels else f"{self.name} {self.value:g}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Exporter:
    """GET /metrics on a loopback port (0: any): what `samples` answers at that moment, for one caller at a time."""

    def __init__(self, samples: Callable[[], Iterable[Sample]], *, port: int = 0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    body = "".join(f"{sample}\n" for sample in samples()).encode()
                except JobError as error:
                    # Prometheus' `up` is then 0, and the next scrape may go well.
                    self.send_error(503, error.reason_code)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(ConnectionError):  # whoever scrapes gives up after a while, on a busy machine
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet: it is scraped for ever."""

        self._server = HTTPServer((LOOPBACK, port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="exporter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
