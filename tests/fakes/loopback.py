"""A webhook's receiver on loopback: real HTTP, answers to order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """A webhook's receiver: its address, what it answers from now on, and what it was sent."""

    url: str
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    #: Headers and raw body of each request, for signatures.
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    #: The status of each answer, once it is sent.
    answered: list[int] = field(default_factory=list)


@contextmanager
def receiving(path: str) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = receiver.status
            assert self.headers["Content-Type"] == "application/json"
            assert self.path == path
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.bodies.append(json.loads(body))
            receiver.requests.append((dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            receiver.answered.append(status)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
