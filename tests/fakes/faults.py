"""Faults in the calls between a process and its services, put in on purpose and at an exact place.

Every fake passes its calls through one `Faults`, which counts them, so that a test can break "the seventh call",
or "the next write of the record": before it happens (the request is lost) or after (its answer is lost).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Answer = TypeVar("Answer")


class Crash(BaseException):
    """The process ends here; no border of ours may catch it."""


@dataclass
class Fault:
    """What becomes of a call that `strikes`; an error of None answers None, as a 412 against one's own write does."""

    strikes: Callable[[int, str], bool]
    error: BaseException | None
    #: Does the call take effect before its answer is lost?
    happens: bool
    times: int = 1


@dataclass
class Faults:
    #: Each call as "objects.write jobs/17.json", in order.
    calls: list[str] = field(default_factory=list)
    _planned: list[Fault] = field(default_factory=list)
    _is_dead: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def fail_next(self, method: str, error: BaseException | None, *, times: int = 1, happens: bool = False) -> None:
        """Break the next call whose text starts with `method`, such as "objects.write jobs/"."""
        self._planned.append(Fault(lambda _, call: call.startswith(method), error, happens, times))

    def fail_at(self, number: int, error: BaseException | None, *, happens: bool = False) -> None:
        """Break call `number`, counted from the first call there ever was (1)."""
        self._planned.append(Fault(lambda at, _: at == number, error, happens))

    def revive(self) -> None:
        """A new process takes the dead one's place."""
        self._is_dead = False

    def during(self, call: str, do: Callable[[], Answer]) -> Answer:
        """Make the call, or break it as planned; a dead process makes none."""
        with self._lock:
            if self._is_dead:
                raise Crash(call)
            self.calls.append(call)
            fault = self._next(len(self.calls), call)
        if fault is None:
            return do()
        if fault.happens:
            do()
        if isinstance(fault.error, Crash):
            self._is_dead = True
        if fault.error is not None:
            raise fault.error
        return None  # type: ignore[return-value]

    def _next(self, number: int, call: str) -> Fault | None:
        for fault in self._planned:
            if fault.strikes(number, call):
                fault.times -= 1
                if not fault.times:
                    self._planned.remove(fault)
                return fault
        return None
