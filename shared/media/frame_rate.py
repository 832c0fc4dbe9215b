"""Whether a video's pictures follow each other evenly: constant or variable frame rate.

Decided on the times of all pictures where the container's index holds them (MP4, MOV), else on those of the first
ones. A rate counts as variable when more than one interval, and more than a hundredth of all, differ from the median
by more than a container rounds: one hiccup at the start of a recording does not make it variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from av.video.stream import VideoStream

#: Matroska and FLV round to a millisecond, so intervals differ by one; and a little for the division.
_ROUNDED_SECONDS: Final = 0.0011
_ODD_SHARE: Final = 0.01
_ODD_COUNT: Final = 1


@dataclass(frozen=True, slots=True)
class Intervals:
    """From one picture to the next, in seconds."""

    is_variable: bool
    shortest: float
    longest: float
    #: `index`: of all pictures; `packets`: of the first ones.
    decided_by: str

    def facts(self) -> dict[str, Any]:
        return {
            "frame_rate_mode": "variable" if self.is_variable else "constant",
            "frame_rate_mode_from": self.decided_by,
            "frame_interval_s": {"shortest": round(self.shortest, 6), "longest": round(self.longest, 6)},
        }


UNKNOWN: Final[dict[str, Any]] = {"frame_rate_mode": None, "frame_rate_mode_from": None, "frame_interval_s": None}


def has_index(stream: VideoStream) -> bool:
    """Whether the container's index, as read at opening, lists every picture."""
    return 0 < stream.frames == len(stream.index_entries)


def intervals(stream: VideoStream, first_times: Sequence[float]) -> Intervals | None:
    """None where fewer than three pictures have times; `first_times` are the first pictures', in rising order."""
    if has_index(stream) and stream.time_base is not None:
        # In decoding order and by decoding time, which runs as evenly as the pictures are shown.
        times = np.array([entry.timestamp for entry in stream.index_entries]) * float(stream.time_base)
        return _judge(times, "index")
    return _judge(np.array(first_times), "packets")


def _judge(times: np.ndarray[Any, np.dtype[np.float64]], decided_by: str) -> Intervals | None:
    if len(times) < 3:
        return None
    steps = np.diff(times)
    odd = int((np.abs(steps - np.median(steps)) > _ROUNDED_SECONDS).sum())
    is_variable = odd > max(_ODD_COUNT, _ODD_SHARE * len(steps))
    return Intervals(is_variable, float(steps.min()), float(steps.max()), decided_by)
