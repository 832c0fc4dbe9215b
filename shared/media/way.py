"""The way to a child and back, one message at a time; nobody is waited for in the middle of one.

Messages are framed as multiprocessing's `Connection` does it, which is at the other end: four bytes of length, then so
many bytes.
"""

from __future__ import annotations

import os
import socket
from multiprocessing.connection import Connection
from typing import Final

_HEAD: Final = 4
_MOST_BYTES: Final = 64 * 2**20


class Way:
    """Beside the connection, which stays its owner's."""

    def __init__(self, connection: Connection) -> None:
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        #: Of what was given, what was not taken yet.
        self._unsent = memoryview(b"")
        self._expect(_HEAD, is_headed=False)

    def close(self) -> None:
        self._socket.close()

    @property
    def is_full(self) -> bool:
        """Is there something that has yet to be taken?"""
        return bool(self._unsent)

    def give(self, data: bytes) -> None:
        """A message; what is not taken at once is for `send`."""
        self._unsent = memoryview(len(data).to_bytes(_HEAD, "big") + data)
        self.send()

    def send(self) -> None:
        """As much as there is room for."""
        try:
            sent = self._socket.send(self._unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError):  # whose child is gone learns why from what comes next
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]

    def take(self) -> bytearray | None:
        """The next message, once all of it is here. Raises EOFError or OSError when it never will be."""
        if not self._is_headed:
            if not self._fill():
                return None
            size = int.from_bytes(self._coming, "big", signed=True)
            if not 0 <= size <= _MOST_BYTES:
                raise EOFError(f"no message has {size} bytes")
            self._expect(size, is_headed=True)
        if not self._fill():
            return None
        message = self._coming
        self._expect(_HEAD, is_headed=False)
        return message

    def _expect(self, size: int, *, is_headed: bool) -> None:
        self._coming, self._come, self._is_headed = bytearray(size), 0, is_headed

    def _fill(self) -> bool:
        """Is all here that is expected?"""
        while self._come < len(self._coming):
            try:
                count = self._socket.recv_into(memoryview(self._coming)[self._come :], flags=socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            if not count:
                raise EOFError("the other end is closed")
            self._come += count
        return True
