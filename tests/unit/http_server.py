"""A server on loopback that answers exactly what a test tells it to, bytes and pauses included."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

#: The head of an answer whose length is not declared.
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


#: What to do with a request: write to the connection; the event is set when the server closes.
Reply = Callable[[Request, socket.socket, Event], None]


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Reply:
    """A whole response; `content_length="7"` overrides the true one, `content_length=""` leaves it out."""
    fields = {"content_length": str(len(body)), **headers}

    def reply(_: Request, connection: socket.socket, __: Event) -> None:
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value]
        connection.sendall(f"HTTP/1.1 {status} Because\r\n{''.join(lines)}\r\n".encode() + body)

    return reply


def raw(data: bytes) -> Reply:
    return lambda _, connection, __: connection.sendall(data)


def trickle(start: bytes, drop: bytes, *, every_seconds: float = 0.02) -> Reply:
    """`start`, then a drop of data again and again until somebody has enough."""

    def reply(_: Request, connection: socket.socket, closing: Event) -> None:
        connection.sendall(start)
        while not closing.wait(every_seconds):
            connection.sendall(drop)

    return reply


def hang(_: Request, __: socket.socket, closing: Event) -> None:
    closing.wait()


@dataclass
class LocalServer:
    """Answers by path; `requests` holds all that arrived, `connections` counts even those that sent nothing."""

    port: int
    scheme: str
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closing: Event = field(default_factory=Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def serve(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        with suppress(OSError, ValueError), connection:
            secured = tls.wrap_socket(connection, server_side=True) if tls else connection
            with secured:
                request = _read(secured)
                self.requests.append(request)
                self.replies.get(request.path.partition("?")[0], answer(404))(request, secured, self.closing)


@contextmanager
def local_server(tls: ssl.SSLContext | None = None) -> Iterator[LocalServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = LocalServer(listener.getsockname()[1], "https" if tls else "http")
        threads: list[Thread] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    server.connections += 1
                    threads.append(Thread(target=server.serve, args=(connection, tls)))
                    threads[-1].start()

        threads.append(Thread(target=accept))
        threads[0].start()
        try:
            yield server
        finally:
            server.closing.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(timeout=10)


def _read(connection: socket.socket) -> Request:
    with connection.makefile("rb") as stream:
        method, path, _ = stream.readline().decode().split()
        headers = {}
        while line := stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, path, headers, stream.read(int(headers.get("content-length", 0))))
