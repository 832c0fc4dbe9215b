"""A relay on loopback that counts the bytes a server sends: what is read of it, whoever reads and however."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

from local.ports import LOOPBACK

_CHUNK_BYTES: Final = 2**18


class Meter(socketserver.ThreadingTCPServer):
    """Serve with `metered`; `port` is where to connect instead of the server's own."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, server_port: int) -> None:
        super().__init__((LOOPBACK, 0), _Relay)
        self.server_port = server_port
        self._lock = threading.Lock()
        self._bytes = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def count(self, number: int) -> None:
        with self._lock:
            self._bytes += number

    def reset(self) -> int:
        """Bytes since the last reset."""
        with self._lock:
            counted, self._bytes = self._bytes, 0
        return counted


@contextmanager
def metered(server_port: int) -> Iterator[Meter]:
    with Meter(server_port) as meter:
        thread = threading.Thread(target=meter.serve_forever, kwargs={"poll_interval": 0.05}, name="meter", daemon=True)
        thread.start()
        try:
            yield meter
        finally:
            meter.shutdown()
            thread.join()


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        meter = cast(Meter, self.server)
        with socket.create_connection((LOOPBACK, meter.server_port)) as server:
            asking = threading.Thread(target=self._ask, args=(server,), name="meter-asks", daemon=True)
            asking.start()
            # Counted when read of the server: a reader that hangs up early has cost the rest of its chunk, too.
            with suppress(ConnectionError):
                while answer := server.recv(_CHUNK_BYTES):
                    meter.count(len(answer))
                    self.request.sendall(answer)
            _hang_up(self.request)
            asking.join()

    def _ask(self, server: socket.socket) -> None:
        with suppress(ConnectionError):
            while question := self.request.recv(_CHUNK_BYTES):
                server.sendall(question)
        _hang_up(server)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
