"""An HTTPS proxy that goes nowhere: it ends every tunnel itself and hands each request to the stand-in."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Request:
    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON sent; empty for an upload's bytes."""
        with suppress(ValueError):
            return dict(json.loads(self.raw or b"{}"))
        return {}

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path} {json.dumps(self.body)}"


@dataclass(frozen=True)
class Answer:
    json: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]


@contextmanager
def proxy(handle: Handler, tls: ssl.SSLContext) -> Iterator[int]:
    """Serves on a loopback port, which is given, until the block is left."""

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        # Else each answer waits 40 ms, for an acknowledgement of the TLS handshake's last part.
        disable_nagle_algorithm = True
        host = ""

        def do_CONNECT(self) -> None:
            self.host = self.path.partition(":")[0]
            self.send_response(200)
            self.end_headers()
            try:
                self.connection = tls.wrap_socket(self.connection, server_side=True)
            except OSError:
                # A host that the certificate does not name.
                self.close_connection = True
                return
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
            self.close_connection = False

        def _answer(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = handle(
                Request(
                    method=self.command,
                    host=self.host or url.hostname or "",
                    path=url.path,
                    query=dict(parse_qsl(url.query)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    raw=raw,
                )
            )
            payload = json.dumps(answer.json).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()
            with suppress(OSError):
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are kept by the stand-in."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
