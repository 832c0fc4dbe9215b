"""What nobody may touch: a folder of which every opened file is noted, and a port that notes who connects."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: inotify(7); the header `struct inotify_event` ends with the length of the name behind it.
_IN_OPEN = 0x20
_HEADER = struct.Struct("iIII")


@dataclass(frozen=True)
class Tripwire:
    """`files` is the folder to lay bait in; `touched` tells who took it, once the wire is up."""

    files: Path
    port: int
    _listener: socket.socket
    _events: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bait.ts"

    def touched(self) -> list[str]:
        """Names of the files that were opened since the last call, and "socket" for each connection."""
        found = []
        while events := self._read():
            while events:
                _, _, _, length = _HEADER.unpack_from(events)
                name = events[_HEADER.size : _HEADER.size + length].rstrip(b"\0").decode()
                found.append(name)
                events = events[_HEADER.size + length :]
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return found
            connection.close()
            found.append("socket")

    def _read(self) -> bytes:
        try:
            return os.read(self._events, 65536)
        except BlockingIOError:
            return b""


@contextmanager
def tripwire(files: Path) -> Iterator[Tripwire]:
    """Around the bait that already lies in `files`."""
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.inotify_init1(os.O_NONBLOCK)
    if events < 0 or libc.inotify_add_watch(events, os.fsencode(files), _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "no inotify here")
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            yield Tripwire(files, listener.getsockname()[1], listener, events)
    finally:
        os.close(events)
