"""How long an attempt may take, and how long it is likely to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import JobError, TooLong
from shared.operations import Operation, Probe, Thumbnails

#: Share of a process's time that start, fetch and upload may need besides the processing.
_MARGIN: Final = 0.9
#: An attempt that begins so soon after its process, in seconds, has all the time any process could give it.
_FRESH_SECONDS: Final = 60.0
#: Before the platform's own end: enough to record why.
_LAST_SECONDS: Final = 15.0
#: So long after that end work may go without hearing of it; then it is ended over its head.
_DEAF_SECONDS: Final = 10.0
#: What goes through a whole recording does so in no less than this of its length, whatever the machine.
_LEAST_FACTOR: Final = 0.0005
#: A measured factor is taken with a reserve, and only from recordings long enough to tell, in seconds.
_RESERVE, _TELLING_SECONDS = 1.25, 30.0


class Stopping(JobError):
    """This process ends before the work can."""

    code = "stopping"


class OutOfTime(Stopping):
    """What is left of this process is too short for this file; a fresh one has more."""

    code = "out_of_time"


@dataclass(frozen=True, slots=True)
class Need:
    """Seconds that work is likely to take, and that it takes at the least; 0 where that is not known."""

    likely: float
    least: float


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The time of one attempt; monotonic clock, seconds."""

    #: When the process must be done; None for no end.
    ends_at: float | None
    #: Of a whole process.
    whole_seconds: float
    #: No other process would have more time for this attempt.
    is_fresh: bool
    #: What is too long here may go to where no process has an end.
    may_move: bool = False

    @classmethod
    def of(cls, started_at: float, ends_at: float | None, whole_seconds: float, *, may_move: bool = False) -> TimeLimit:
        """The limit of an attempt that begins now, in a process that began at `started_at`."""
        return cls(ends_at, whole_seconds, time.monotonic() - started_at < _FRESH_SECONDS, may_move)

    def check_need(self, need: Need) -> None:
        """Raises TooLong when the work fits no process, OutOfTime when a fresh one has more time for it.

        TooLong moves a job that may move, and ends any other for good. To move it, a guess is enough; to end it, the
        work must be too long at the least. Where only the guess says so, the work begins, in a fresh process:
        `check_now` ends it if the guess was right.
        """
        if self.ends_at is None:
            return
        left = self.ends_at - time.monotonic() - _LAST_SECONDS
        most = self.whole_seconds * _MARGIN
        seconds = need.likely if self.may_move else need.least
        if seconds > (min(most, left) if self.is_fresh else most):
            raise TooLong(f"the work needs about {seconds:.0f} s; an attempt has {self.whole_seconds:.0f} s")
        if need.likely > left and not self.is_fresh:
            raise OutOfTime(f"the work needs about {need.likely:.0f} s, more than this process has left")

    def check_now(self, *, is_deaf: bool = False) -> None:
        """The same for work that is under way and was thought to be shorter; somewhat later for what `is_deaf`."""
        patience = _DEAF_SECONDS if is_deaf else 0.0
        if self.ends_at is None or time.monotonic() < self.ends_at - _LAST_SECONDS + patience:
            return
        if self.is_fresh:
            raise TooLong(f"the work did not end within the {self.whole_seconds:.0f} s that an attempt has")
        raise OutOfTime("this process ends before the work does")


NO_LIMIT: Final = TimeLimit(None, 0.0, is_fresh=False)


class Pace:
    """Processing time over media time, for each set of operations: assumed at first, then what was measured."""

    def __init__(self, assumed: float) -> None:
        self._assumed = assumed
        self._measured: dict[frozenset[str], float] = {}

    def needs(self, media_seconds: float | None, operations: Sequence[Operation]) -> Need:
        """What the operations need. What was measured is likely and no more: a model was loaded, a fetch was slow."""
        thorough = _thorough(operations)
        if not media_seconds or not thorough:
            return Need(0.0, 0.0)
        likely = self._measured.get(thorough, self._assumed)
        return Need(media_seconds * likely, media_seconds * min(self._assumed, _LEAST_FACTOR))

    def learn(self, media_seconds: float | None, seconds: float, operations: Sequence[Operation]) -> None:
        """Note how long it took."""
        thorough = _thorough(operations)
        if media_seconds and media_seconds >= _TELLING_SECONDS and thorough:
            self._measured[thorough] = _RESERVE * seconds / media_seconds


def _thorough(operations: Sequence[Operation]) -> frozenset[str]:
    return frozenset(operation.name for operation in operations if not glances(operation))


def glances(operation: Operation) -> bool:
    """Does it look at a few places of a recording only, and not go through all of it?"""
    return isinstance(operation, Probe) or (isinstance(operation, Thumbnails) and operation.per is None)
