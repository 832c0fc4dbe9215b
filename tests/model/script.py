"""One process's code, run again and again: it lives through what it has seen, and is stopped at its next call.

The code under check is a function from what it has seen to what it asks next, so it can be stopped between any two of
its calls, left there, and taken up again in as many different worlds as there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class Ended:
    """The process went through; `result` is what it answered, or the error it ended with."""

    result: object


@dataclass
class Script(Faults):
    """Stands between a process and the fakes: every call of theirs passes through `during`."""

    clock: FakeClock = field(default_factory=FakeClock)
    _seen: Sequence[Seen] = ()
    _at: int = 0
    _next: Call | None = None
    #: While set, calls are made as they come.
    is_live: bool = False

    def next_of(self, act: Callable[[], object], started: datetime, seen: Sequence[Seen]) -> Call | Ended:
        """Run `act` through what it has seen: its next call, or its end."""
        self._seen, self._at, self._next = seen, 0, None
        self.clock.set(started)
        try:
            ended = Ended(act())
        except Crash:
            if self._next is None:
                raise
            return self._next
        except Exception as error:
            ended = Ended(error)
        if self._next is not None or self._at != len(seen):
            raise AssertionError(f"a process went on without the answer to {self._next or seen[self._at]}")
        return ended

    def during(self, call: str, do: Callable[[], Answer]) -> Answer:
        if self.is_live:
            return do()
        if self._next is not None:
            raise Crash(call)
        if self._at == len(self._seen):
            self._next = Call(call, do)
            raise Crash(call)
        seen = self._seen[self._at]
        if seen.call != call:
            raise AssertionError(f"a process that saw the same asked {call} and before {seen.call}")
        self._at += 1
        self.clock.set(seen.at)
        if isinstance(seen.answer, BaseException):
            # A fresh one each time: an exception keeps the traceback of every raise.
            raise copy(seen.answer)
        return seen.answer  # type: ignore[no-any-return]
