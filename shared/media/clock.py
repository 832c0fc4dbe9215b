"""When a picture is shown, whatever a file's clock does: recordings joined end to end each bring their own."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

#: A clock that lags by more than this (seconds) behind what was there already began anew.
MOST_LAG: Final = 1.0
_USUAL_STEP: Final = 0.04


class PictureClock:
    """Of one stream's pictures, in the order they are shown in; seconds from the start of the file."""

    def __init__(self, origin: float, rate: Fraction | None) -> None:
        """`origin` is where the file's own clock begins."""
        self._origin = origin
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
        moment = self.until if time is None else time - self._origin
        if self._last is not None and moment < self._last:
            if self._last - moment > MOST_LAG:
                self._origin += moment - self.until
                moment = self.until
            else:
                moment = self._last
        self._last = moment
        return moment
