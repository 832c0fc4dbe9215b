"""Free loopback ports that stay reserved for as long as the local cloud lives.

A port that was merely found free may be taken before the program it was meant for listens on it. Here each port
is held by a bound socket that never listens: the kernel gives it to nobody who asks for "any port", neither to
another local cloud nor to an outgoing connection, while a program that sets SO_REUSEADDR (all servers used here
do) may listen on it, and may do so again after a crash (Linux, socket(7)).
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"


class Ports:
    """Hands out loopback ports, each of them once, and holds them until closed."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self) -> int:
        """A port on 127.0.0.1 that no other process is given while this object is open."""
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, 0))
        self._held.append(holder)
        port: int = holder.getsockname()[1]
        return port

    def close(self) -> None:
        """Let all ports go."""
        while self._held:
            self._held.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
