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
    """Strikes from the `nth` call (1 is the next) whose point, and job if given, match; `times` in all."""

    at: str
    way: Way
    nth: int = 1
    times: int = 1
    job: str | None = None
    #: What the call's body holds: a record's state, say.
    having: bytes = b""
    #: Of delays, pauses and later copies.
    seconds: float = 1.0
    #: Fewer strikes than this are too few; None: less than `times`.
    least: int | None = None
    seen: int = 0
    #: Calls it was let loose on, and those that it has struck: a kill that finds nobody strikes nothing.
    taken: int = 0
    struck: int = 0

    def strikes(self, call: Call) -> bool:
        if re.fullmatch(self.at, call.point) is None or (self.job is not None and call.job != self.job):
            return False
        if self.having not in call.body:
            return False
        self.seen += 1
        return self.seen >= self.nth and self.taken < self.times

    @property
    def has_struck(self) -> bool:
        """As often as was planned."""
        return self.struck >= (self.times if self.least is None else self.least)

    def __str__(self) -> str:
        many = f" x{self.times}" if self.times > 1 else ""
        return f"{self.way}{many} at {self.at} #{self.nth}" + (f" of {self.job[:8]}" if self.job else "")


@dataclass
class Plan:
    """The faults that wait for their calls, and those that have struck."""

    planned: list[Fault] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    #: Every call there was, copies too, by its point.
    points: Counter[str] = field(default_factory=Counter)
    #: What is still to come of faults that were let loose: callers that are to wake up, copies that are to be sent.
    due: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self.planned += faults

    def clear(self) -> None:
        with self._lock:
            self.planned.clear()
            self.struck.clear()
            self.points.clear()

    def expect(self, more: int) -> None:
        with self._lock:
            self.due += more

    def fault_for(self, call: Call) -> Fault | None:
        """The fault that is let loose on this call: the first planned; what it keeps from striking takes the next."""
        with self._lock:
            self.points[call.point] += 1
            striking = [fault for fault in self.planned if fault.strikes(call)]
            if not striking:
                return None
            striking[0].taken += 1
            return striking[0]

    def strike(self, fault: Fault, call: Call) -> None:
        """It has struck."""
        with self._lock:
            fault.struck += 1
            self.struck.append(f"{fault.way} at {call.point}")

    def miss(self, fault: Fault) -> None:
        """It found nothing to strike, and may try the next call."""
        with self._lock:
            fault.taken -= 1

    def note_copy(self, call: Call) -> None:
        with self._lock:
            self.points[call.point] += 1

    def waiting(self) -> list[Fault]:
        """Those that have not struck as often as planned."""
        with self._lock:
            return [fault for fault in self.planned if not fault.has_struck]
