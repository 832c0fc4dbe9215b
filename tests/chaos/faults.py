"""Faults that are put in at fault points, on purpose, and what each of them does to one call."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.calls import Call


class Way(StrEnum):
    """How a call is broken. A lost answer's call has taken effect, a cut one's has not."""

    CUT = "cut"
    LOSE_ANSWER = "lose the answer"
    REFUSE_429 = "429"
    REFUSE_503 = "503"
    DELAY = "delay"
    #: Sent twice at once; the caller gets the first answer.
    TWICE = "twice"
    #: Answered, and sent once more later.
    AGAIN_LATER = "again later"
    #: SIGKILL to the caller, before the call or after it.
    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    #: SIGSTOP to the caller after its call has taken effect; it wakes up later, and its lease is gone.
    PAUSE = "pause"
    SHORT_READ = "short read"
    CORRUPT = "corrupt"
    #: Somebody else writes the object first: a 412 that is meant.
    RIVAL = "rival"


@dataclass
class Fault:
    """Strikes the `nth` call (1 is the next) whose point, and job if given, match; then `times` in a row."""

    at: str
    way: Way
    nth: int = 1
    times: int = 1
    job: str | None = None
    #: What the call's body holds: a record's state, say.
    having: bytes = b""
    #: Of delays, pauses and later copies.
    seconds: float = 1.0
    seen: int = 0

    def strikes(self, call: Call) -> bool:
        if re.fullmatch(self.at, call.point) is None or (self.job is not None and call.job != self.job):
            return False
        if self.having not in call.body:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times

    def __str__(self) -> str:
        many = f" x{self.times}" if self.times > 1 else ""
        return f"{self.way}{many} at {self.at} #{self.nth}" + (f" of {self.job[:8]}" if self.job else "")


@dataclass
class Plan:
    """The faults that wait for their calls, and those that have struck."""

    planned: list[Fault] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    #: Every call there was, by its point.
    points: Counter[str] = field(default_factory=Counter)
    #: Callers that are stopped now.
    asleep: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self.planned += faults

    def clear(self) -> None:
        with self._lock:
            self.planned.clear()
            self.struck.clear()
            self.points.clear()

    def sleeping(self, more: int) -> None:
        with self._lock:
            self.asleep += more

    def fault_for(self, call: Call) -> Fault | None:
        """The fault that strikes this call; the first planned wins, all of them count."""
        with self._lock:
            self.points[call.point] += 1
            striking = [fault for fault in self.planned if fault.strikes(call)]
            if not striking:
                return None
            self.struck.append(f"{striking[0].way} at {call.point}")
            return striking[0]
