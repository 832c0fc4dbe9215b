"""Where one shot ends and the next begins: shots.json.

A cut is a frame that differs from the one before by much, by far more than its neighbours do, and lastingly (a flash
does not last). Measured on the mean difference of luma at 64x36; dissolves are not seen.
"""

from __future__ import annotations

from array import array
from collections import deque
from itertools import pairwise
from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from shared.media.artifacts import ArtifactFolder
from shared.media.sinks import Pictures
from shared.operations import Shots

_SIZE: Final = (64, 36)
#: Frames on each side that say how restless the picture is, and how many times more a cut must differ.
_NEIGHBOURS: Final = 12
_TIMES_RESTLESS: Final = 3.0
#: Frames over which a cut must last, from two before it to one after it, and the share of the change that must be left.
_LASTING: Final = 3
_LEFT: Final = 0.5


class ShotFinder:
    """A video sink; holds three numbers for each frame."""

    needs: Final = Pictures(size=_SIZE, pixels="gray")

    def __init__(self, operation: Shots, span: tuple[float, float], folder: ArtifactFolder) -> None:
        """`span` is where the video begins and ends, in seconds."""
        self._operation, self._span, self._folder = operation, span, folder
        self._last: deque[NDArray[np.int16]] = deque(maxlen=_LASTING)
        self._times = array("d")
        self._differences = array("f")
        self._lasting = array("f")

    def add(self, frame: VideoFrame, moment: float) -> None:
        luma = frame.to_ndarray().astype(np.int16)
        self._times.append(moment)
        self._differences.append(_difference(luma, self._last[-1]) if self._last else 0.0)
        self._lasting.append(_difference(luma, self._last[0]) if len(self._last) == _LASTING else np.inf)
        self._last.append(luma)

    def finish(self) -> None:
        self._last.clear()

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()

    def write(self) -> dict[str, Any]:
        """Write shots.json; answers the summary."""
        found = cuts(np.array(self._differences), np.array(self._lasting), self._operation.threshold)
        times = [round(self._times[index], 3) for index in found]
        start, end = self._span
        # Never before the last picture: a length that was only estimated may be short.
        bounds = [round(start, 3), *times, round(max(end, self._times[-1]), 3)]
        shots = [{"start": begins, "end": ends} for begins, ends in pairwise(bounds)]
        document = {"threshold": self._operation.threshold, "frames": len(self._times), "cuts": times, "shots": shots}
        self._folder.write_json("shots.json", document)
        return {"count": len(shots), "frames": len(self._times)}


def cuts(differences: NDArray[np.float32], lasting: NDArray[np.float32], threshold: float) -> list[int]:
    """Indexes of the frames that begin a shot.

    `differences` holds each frame's to the one before; `lasting` to the one three before, infinite where there is none.
    """
    window = np.ones(2 * _NEIGHBOURS + 1)
    window[_NEIGHBOURS] = 0
    around = np.convolve(differences, window)[_NEIGHBOURS:-_NEIGHBOURS]
    present = np.convolve(np.ones(len(differences)), window)[_NEIGHBOURS:-_NEIGHBOURS]
    restless = around / np.maximum(present, 1)
    lasts = np.append(lasting[1:], np.inf)
    is_cut = (differences > threshold) & (differences > _TIMES_RESTLESS * restless) & (lasts > _LEFT * differences)
    return [int(index) for index in np.flatnonzero(is_cut)]


def _difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean())
