"""A proxy in front of one HTTP part: storage, or one of our functions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from tests.chaos.breaking import Lost, Passage, Refused
from tests.chaos.calls import Call
from tests.chaos.faults import Plan, Way

#: (method, url, headers, body, the caller's port) → the call's name.
Naming = Callable[[str, str, Mapping[str, str], bytes, int], Call]
_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    #: What the headers promise, when that is not what comes.
    promised: int | None = None


def hurt(answer: HttpAnswer, way: Way) -> HttpAnswer | None:
    """A body that ends half-way, or of which one byte is another; None when the answer brings nothing."""
    if answer.status >= 300 or not answer.body:
        return None
    half = len(answer.body) // 2
    if way is Way.SHORT_READ:
        return replace(answer, body=answer.body[:half], promised=len(answer.body))
    wrong = bytes([answer.body[half] ^ 0xFF])
    return replace(answer, body=answer.body[:half] + wrong + answer.body[half + 1 :])


class HttpFront:
    """Listens on a port of its own; `upstream` is set once what it stands in front of is there."""

    def __init__(
        self,
        plan: Plan,
        naming: Naming,
        *,
        on_answer: Callable[[Call, Mapping[str, str], HttpAnswer], None] | None = None,
        on_lost: Callable[[Call], None] | None = None,
    ) -> None:
        self.upstream = 0
        self._naming = naming
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        self.port: int = self._server.server_address[1]
        self._passage = Passage(plan, self.port, hurt=hurt, rival=self._rival, on_lost=on_lost)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="front", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes, peer: int) -> HttpAnswer:
        """Raises Lost, Refused."""
        call = self._naming(method, url, headers, body, peer)

        def send() -> HttpAnswer:
            try:
                answer = self._send(method, url, headers, body)
            except Lost:
                # It may have taken effect before it broke.
                if self._on_lost:
                    self._on_lost(call)
                raise
            if self._on_answer:
                self._on_answer(call, headers, answer)
            return answer

        return self._passage.through(call, send)

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        connection = HTTPConnection("127.0.0.1", self.upstream)
        try:
            connection.request(method, url, body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            return HttpAnswer(response.status, tuple(response.getheaders()), response.read())
        except (OSError, HTTPException) as cause:
            raise Lost from cause
        finally:
            connection.close()

    def _rival(self, call: Call) -> bool:
        """Write what stands there once more, if nobody else does meanwhile: a new generation of the same."""
        bucket, _, name = call.target.partition(" ")
        name = name.replace("/", "%2F")
        with suppress(Lost):
            stands = self._send("GET", f"/download/storage/v1/b/{bucket}/o/{name}?alt=media", {}, b"")
            if stands.status == 200:
                generation = dict(stands.headers)["X-Goog-Generation"]
                upload = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}&ifGenerationMatch={generation}"
                written = self._send("POST", upload, {"Content-Type": "application/json"}, stands.body)
                return written.status == 200
        return False


class _Server(ThreadingHTTPServer):
    front: HttpFront
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed is what these tests are for; anything else is a bug of theirs."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            # Its caller was killed amid it: half of a request is none.
            self.close_connection = True
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        try:
            answer = self.server.front.answer(self.command, self.path, headers, body, self.client_address[1])
        except Lost:
            self.close_connection = True
            return
        except Refused as refused:
            answer = HttpAnswer(refused.status, (("Content-Type", "text/plain"),), b"refused on purpose")
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if answer.status != 204:
            promised = len(answer.body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = self.close_connection or answer.promised is not None

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on

    def log_message(self, format: str, *args: Any) -> None:
        """The standard library would print every request."""
