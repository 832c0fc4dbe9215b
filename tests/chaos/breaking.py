"""What becomes of one call: passed on, or broken as planned. The same for HTTP and gRPC."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from tests.chaos.calls import Call
from tests.chaos.faults import Fault, Plan, Way

Answer = TypeVar("Answer")


class Lost(Exception):
    """The caller gets no answer: the connection breaks."""


class Refused(Exception):
    """The caller gets a refusal with this HTTP status, and nothing has happened."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Passage(Generic[Answer]):
    """Where calls to one port of ours pass, and break.

    `rival` writes the same object, and says whether it was quicker; `hurt` spoils an answer, None when there is
    nothing to spoil; `on_lost` hears of calls that took effect and whose answers the caller never saw.
    """

    def __init__(
        self,
        plan: Plan,
        port: int,
        *,
        hurt: Callable[[Answer, Way], Answer | None] | None = None,
        rival: Callable[[Call], bool] | None = None,
        on_lost: Callable[[Call], None] | None = None,
    ) -> None:
        self._plan = plan
        self._port = port
        self._hurt = hurt
        self._rival = rival
        self._on_lost = on_lost

    def through(self, call: Call, send: Callable[[], Answer]) -> Answer:
        """The answer of `send`, unless a fault strikes. Raises Lost, Refused."""
        fault = self._plan.fault_for(call)
        if fault is None:
            return send()
        match fault.way:
            case Way.CUT:
                self._plan.strike(fault, call)
                raise Lost
            case Way.REFUSE_429 | Way.REFUSE_503:
                self._plan.strike(fault, call)
                raise Refused(int(fault.way))
            case Way.KILL_BEFORE:
                if self._kill(call, fault):
                    raise Lost
            case Way.DELAY:
                time.sleep(fault.seconds)
                self._plan.strike(fault, call)
            case Way.RIVAL:
                if self._rival and self._rival(call):
                    self._plan.strike(fault, call)
                else:
                    self._plan.miss(fault)
            case Way.TWICE:
                self._copy(call, fault, send, after_s=0.0)
        return self._after(call, fault, send)

    def _after(self, call: Call, fault: Fault, send: Callable[[], Answer]) -> Answer:
        answer = send()
        match fault.way:
            case Way.LOSE_ANSWER:
                if self._on_lost:
                    self._on_lost(call)
                self._plan.strike(fault, call)
                raise Lost
            case Way.KILL_AFTER:
                if self._kill(call, fault):
                    raise Lost
            case Way.PAUSE:
                self._pause_caller(call, fault)
            case Way.AGAIN_LATER:
                self._copy(call, fault, send, after_s=fault.seconds)
            case Way.SHORT_READ | Way.CORRUPT:
                hurt = self._hurt(answer, fault.way) if self._hurt else None
                if hurt is not None:
                    self._plan.strike(fault, call)
                    return hurt
                self._plan.miss(fault)
        return answer

    def _copy(self, call: Call, fault: Fault, send: Callable[[], Answer], *, after_s: float) -> None:
        """Send it once more, of which the caller sees nothing; it has struck when it has arrived."""

        def again() -> None:
            try:
                send()
            except Exception:  # a copy that fails is nobody's
                self._plan.miss(fault)
            else:
                self._plan.note_copy(call)
                self._plan.strike(fault, call)
            finally:
                self._plan.expect(-1)

        self._plan.expect(1)
        threading.Timer(after_s, again).start()

    def _kill(self, call: Call, fault: Fault) -> bool:
        """SIGKILL to the caller; False when there is none, which went, or was killed, before."""
        pid = pid_at(call.peer, self._port)
        try:
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self._plan.strike(fault, call)
                return True
        except ProcessLookupError:
            pass
        self._plan.miss(fault)
        return False

    def _pause_caller(self, call: Call, fault: Fault) -> None:
        """Stop the caller, and let it go on later, as a machine does that was frozen."""
        pid = pid_at(call.peer, self._port)
        try:
            if pid is not None:
                os.kill(pid, signal.SIGSTOP)
                self._plan.expect(1)
                self._plan.strike(fault, call)
                threading.Timer(fault.seconds, self._wake, args=(pid,)).start()
                return
        except ProcessLookupError:
            pass
        self._plan.miss(fault)

    def _wake(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._plan.expect(-1)


def pid_at(port: int, server: int) -> int | None:
    """The process that has a connection from this local port to that one of ours; never our own.

    The kernel gives one port to several connections, also of several processes, as long as they go to different ones.
    """
    # gRPC's sockets speak IPv6, to 127.0.0.1 too.
    tables = (Path("/proc/net", name) for name in ("tcp", "tcp6"))
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    # A connection that was closed lately has a row, too, and belongs to nobody.
    sockets = {_name(row) for row in rows if (_port(row[1]), _port(row[2])) == (port, server) and row[9] != "0"}
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and holds(process / "fd", sockets):
            return int(process.name)
    return None


def _name(row: list[str]) -> str:
    """How a descriptor names this row's socket."""
    return f"socket:[{row[9]}]"


def _port(address: str) -> int:
    """Of an address as the kernel writes it."""
    return int(address.partition(":")[2], 16)


def holds(descriptors: Path, names: Set[str]) -> bool:
    """Is one of a process's descriptors one of these? A busy one closes others while they are looked through."""
    with suppress(OSError):
        for file in descriptors.iterdir():
            with suppress(OSError):
                if str(file.readlink()) in names:
                    return True
    return False
