"""One process's code, run again and again: it lives through what it has seen, and is stopped at its next call.

The code under check is a function from what it has seen to what it asks next, so it can be stopped between any two of
its calls, left there, and taken up again in as many different worlds as there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from types import FunctionType
from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.faults import Answer, Crash, Faults


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to one call, and the time at which its caller went on."""

    call: str
    answer: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """What a process asks next; `do` makes the call, in whatever world there then is."""

    text: str
    do: Callable[[], Any]
    #: What it knows of the time: of when it began and of each answer; None where it did not look before its next call.
    times: tuple[datetime | None, ...]

    def arguments(self) -> Iterator[tuple[str, object]]:
        """What the call is made with, by name: what its function holds, and the functions in it."""
        return _held(self.do)


def _held(function: Callable[..., object]) -> Iterator[tuple[str, object]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        value = cell.cell_contents
        if isinstance(value, FunctionType):
            yield from _held(value)
        else:
            yield name, value


@dataclass(frozen=True, slots=True)
class Ended:
    """The process went through; `result` is what it answered, or the error it ended with."""

    result: object
    #: Did it look at the clock after its last call?
    is_timed: bool


class WatchedClock(FakeClock):
    """Knows whether anybody has looked at it since it was set."""

    is_read = False

    def now(self) -> datetime:
        self.is_read = True
        return super().now()

    def set(self, now: datetime) -> None:
        super().set(now)
        self.is_read = False

    def read(self) -> datetime | None:
        """What was read; None if nobody looked."""
        return super().now() if self.is_read else None


@dataclass
class Script(Faults):
    """Stands between a process and the fakes: every call of theirs passes through `during`."""

    clock: WatchedClock = field(default_factory=WatchedClock)
    _seen: Sequence[Seen] = ()
    _times: list[datetime | None] = field(default_factory=list)
    _next: Call | None = None
    #: While set, calls are made as they come.
    is_live: bool = False

    def next_of(self, act: Callable[[], object], started: datetime, seen: Sequence[Seen]) -> Call | Ended:
        """Run `act` through what it has seen: its next call, or its end."""
        self._seen, self._times, self._next = seen, [], None
        self.clock.set(started)
        try:
            ended = Ended(act(), self.clock.is_read)
        except Crash:
            if self._next is None:
                raise
            return self._next
        except Exception as error:
            ended = Ended(error, self.clock.is_read)
        if self._next is not None or len(self._times) != len(seen):
            raise AssertionError(f"a process went on without the answer to {self._next or seen[len(self._times)]}")
        return ended

    def during(self, call: str, do: Callable[[], Answer]) -> Answer:
        if self.is_live:
            return do()
        if self._next is not None:
            raise Crash(call)
        at = len(self._times)
        self._times.append(self.clock.read())
        if at == len(self._seen):
            self._next = Call(call, do, tuple(self._times))
            raise Crash(call)
        seen = self._seen[at]
        if seen.call != call:
            raise AssertionError(f"a process that saw the same asked {call} and before {seen.call}")
        self.clock.set(seen.at)
        if isinstance(seen.answer, BaseException):
            # A fresh one each time: an exception keeps the traceback of every raise.
            raise copy(seen.answer)
        return seen.answer  # type: ignore[no-any-return]
