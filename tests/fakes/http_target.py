"""What a queue, a subscription or a trigger posts to: an HTTP server that answers as told and keeps what it got."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Target:
    url: str
    #: In order; 200 when none is left.
    replies: deque[Reply] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    #: While clear, requests are held open.
    gate: threading.Event = field(default_factory=threading.Event)
    #: Open at this moment, and the most there ever were.
    open_now: int = 0
    open_most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answers(self, *statuses: int) -> None:
        self.replies.extend(Reply(status) for status in statuses)


@contextmanager
def http_target() -> Iterator[Target]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with target.lock:
                reply = target.replies.popleft() if target.replies else Reply()
                target.received.append(
                    Received(time.monotonic(), self.command, self.path, dict(self.headers.items()), body)
                )
                target.open_now += 1
                target.open_most = max(target.open_most, target.open_now)
            target.gate.wait()
            with target.lock:
                target.open_now -= 1
            # A caller may be gone by now.
            with suppress(OSError):
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Handler) as server:
        target = Target(f"http://127.0.0.1:{server.server_address[1]}/")
        target.gate.set()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield target
        finally:
            target.gate.set()
            server.shutdown()
            thread.join()
