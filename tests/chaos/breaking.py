"""What becomes of one call: passed on, or broken as planned. The same for HTTP and gRPC."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Generic, TypeVar

from tests.chaos.calls import Call
from tests.chaos.faults import Fault, Plan, Way

Answer = TypeVar("Answer")

_LISTENING: Final = "0A"


class Lost(Exception):
    """The caller gets no answer: the connection breaks."""


class Refused(Exception):
    """The caller gets a refusal with this HTTP status, and nothing has happened."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Passage(Generic[Answer]):
    """Where calls pass, and break; `rival` writes the same object, `hurt` spoils an answer."""

    def __init__(
        self,
        plan: Plan,
        *,
        hurt: Callable[[Answer, Way], Answer] | None = None,
        rival: Callable[[Call], None] | None = None,
    ) -> None:
        self._plan = plan
        self._hurt = hurt
        self._rival = rival

    def through(self, call: Call, send: Callable[[], Answer]) -> Answer:
        """The answer of `send`, unless a fault strikes. Raises Lost, Refused."""
        fault = self._plan.fault_for(call)
        if fault is None:
            return send()
        match fault.way:
            case Way.CUT:
                raise Lost
            case Way.REFUSE_429 | Way.REFUSE_503:
                raise Refused(int(fault.way))
            case Way.KILL_BEFORE:
                kill_caller(call)
                raise Lost
            case Way.DELAY:
                time.sleep(fault.seconds)
            case Way.RIVAL if self._rival:
                self._rival(call)
            case Way.TWICE:
                threading.Thread(target=_quietly, args=(send,)).start()
        return self._after(call, fault, send)

    def _after(self, call: Call, fault: Fault, send: Callable[[], Answer]) -> Answer:
        answer = send()
        match fault.way:
            case Way.LOSE_ANSWER:
                raise Lost
            case Way.KILL_AFTER:
                kill_caller(call)
                raise Lost
            case Way.PAUSE:
                self._pause_caller(call, fault.seconds)
            case Way.AGAIN_LATER:
                threading.Timer(fault.seconds, _quietly, args=(send,)).start()
            case Way.SHORT_READ | Way.CORRUPT if self._hurt:
                return self._hurt(answer, fault.way)
        return answer

    def _pause_caller(self, call: Call, seconds: float) -> None:
        """Stop the caller, and let it go on later, as a machine does that was frozen."""
        pid = _pid_at(call.peer)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._plan.sleeping(1)
            threading.Timer(seconds, self._wake, args=(pid,)).start()

    def _wake(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._plan.sleeping(-1)


def kill_caller(call: Call) -> None:
    pid = _pid_at(call.peer)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _quietly(send: Callable[[], object]) -> None:
    with suppress(Exception):  # a copy that fails is nobody's
        send()


def _pid_at(port: int) -> int | None:
    """The process whose connection has this local port; never our own."""
    socket_of = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[3] != _LISTENING:
            socket_of = f"socket:[{fields[9]}]"
            break
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) != os.getpid() and any(
                str(file.readlink()) == socket_of for file in (process / "fd").iterdir()
            ):
                return int(process.name)
    return None
