"""When pictures are shown and sounds heard, whatever a file's clock does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from shared.media.survey import MOST_LAG, Stay

#: What a frame's time may be off its packet's, seconds.
_ROUGHLY: Final = 0.1
_USUAL_STEP: Final = 0.04


class StreamClock:
    """Of one stream's frames, in the order they come."""

    def __init__(self, origin: float, stays: Sequence[Stay] = ()) -> None:
        """`origin` is where the file's own clock begins; `stays` are the stream's, where they are known."""
        self._stay, *self._next = stays or (Stay(-math.inf, math.inf, -origin),)
        self._latest = -math.inf

    def moment(self, time: float) -> float:
        """A time on the file's own clock in seconds from the start of the file."""
        while self._next and self._has_left(time):
            self._stay, self._latest = self._next.pop(0), -math.inf
        self._latest = max(self._latest, time)
        return time + self._stay.shift

    def go_on(self, time: float, at: float) -> None:
        """The clock began anew, unforeseen: this time on it is at so many seconds from the start of the file."""
        self._stay, self._latest = replace(self._stay, shift=at - time), time

    def _has_left(self, time: float) -> bool:
        if self._stay.misses(time) > max(_ROUGHLY, self._next[0].misses(time)):
            return True
        is_due = self._latest >= self._stay.last - MOST_LAG
        return time < self._latest - (_ROUGHLY if is_due else MOST_LAG)


class PictureClock:
    """Of one stream's pictures, in the order they are shown in; seconds from the start of the file."""

    def __init__(self, origin: float, rate: Fraction | None, stays: Sequence[Stay] = ()) -> None:
        """As `StreamClock`; `rate` is in pictures a second."""
        self._clock = StreamClock(origin, stays)
        self._step = float(1 / rate) if rate else _USUAL_STEP
        self._last: float | None = None

    @property
    def until(self) -> float:
        """When the next picture is due."""
        return 0.0 if self._last is None else self._last + self._step

    def moment(self, time: float | None) -> float:
        """Of a picture that the file has at this time: never before the last one.

        Where its clock began anew, pictures go on where they were.
        """
        moment = self.until if time is None else self._clock.moment(time)
        if self._last is not None and moment < self._last:
            if time is not None and self._last - moment > MOST_LAG:
                moment = self.until
                self._clock.go_on(time, moment)
            else:
                moment = self._last
        self._last = moment
        return moment
