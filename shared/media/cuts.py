"""Which frames begin a shot, by how luma changes.

A cut is a frame that differs from the one before by much, by far more than its neighbours do, in what it shows and not
in its brightness alone, and lastingly: a flash of a few frames does not last. A fade through black (or white) is one
cut, where the new picture appears. Dissolves are not seen.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.media.luma import REACH, Floats, LumaMeter, Measures

#: Frames on each side that say how restless the picture is, and how many times more a cut must differ.
_NEIGHBOURS: Final = 12
_TIMES_RESTLESS: Final = 3.0
#: The share of a change that must be left when a flash would be over.
_LEFT: Final = 0.3
#: A picture this much like the one before is the same in another light.
_SAME: Final = 0.95
#: Contrast (of 255) below which a picture is blank, and as a share of the most around it.
_BLANK: Final = 4.0
_BLANK_SHARE: Final = 0.2
#: Frames on each side that are around a blank picture, and the longest ramp of a fade that is followed.
_FADE: Final = 25
#: The share of the contrast that at least is lost in a fade before the picture is blank.
_FADED: Final = 0.6


class LumaJudge:
    """Judges frames of 64x36 or so, by their luma."""

    def __init__(self, size: tuple[int, int], threshold: float) -> None:
        """`size` is every picture's width and height; `threshold` as `cuts` has it."""
        self._meter = LumaMeter(size)
        self._threshold = threshold

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """The next picture, `[height, width]`; it is copied."""
        self._meter.add(pixels)

    def cuts(self) -> list[int]:
        """Indexes of the frames that begin a shot; after the last frame."""
        return cuts(self._meter.measures(), self._threshold)


def cuts(measures: Measures, threshold: float) -> list[int]:
    """Indexes of the frames that begin a shot; `threshold` is the least mean difference of luma, of 255."""
    differences, left = measures.differences[:, 0], _left(measures.differences)
    needed = np.maximum(threshold, _TIMES_RESTLESS * _restless(differences))
    is_cut = (differences > needed) & (measures.likeness < _SAME) & (left > np.maximum(needed, _LEFT * differences))
    for begin, end in _blanks(measures.contrast):
        darkens = _ramp(measures.contrast[max(begin - _FADE, 0) : begin][::-1])
        brightens = _ramp(measures.contrast[end : end + _FADE])
        is_between = begin > 0 and end < len(is_cut)
        if darkens or brightens:
            is_cut[begin - darkens : end + brightens + 1] = False
            if is_between:
                is_cut[end if darkens else begin] = True
        elif is_between and end - begin < REACH:  # a flash, alone or from one scene into the next
            moved = (end - begin + 1) * np.median(differences[max(begin - _NEIGHBOURS, 0) : begin])
            is_cut[end] &= is_cut[begin] and left[end] > moved
            is_cut[begin] = False
    return [int(index) for index in np.flatnonzero(is_cut)]


def _restless(differences: Floats) -> NDArray[np.floating]:
    """The mean difference of each frame's neighbours."""
    window = np.ones(2 * _NEIGHBOURS + 1, np.float32)
    window[_NEIGHBOURS] = 0
    known = np.isfinite(differences)
    around: Floats = np.convolve(np.where(known, differences, 0), window)[_NEIGHBOURS:-_NEIGHBOURS]
    present: Floats = np.convolve(known, window)[_NEIGHBOURS:-_NEIGHBOURS]
    return around / np.maximum(present, 1)


def _left(differences: Floats) -> Floats:
    """What is left of each change a few frames on: small where a flash begins or ends.

    The least difference of the frame before it from those after it, and of the frame from those further back; infinite
    where there are none.
    """
    known = np.where(np.isnan(differences), np.float32(np.inf), differences)
    left: Floats = known[:, 1:].min(axis=1)
    for lag in range(1, REACH):
        left[:-lag] = np.minimum(left[:-lag], known[lag:, lag])
    return left


def _blanks(contrast: Floats) -> list[tuple[int, int]]:
    """From where to where (exclusive) pictures are blank."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(contrast, _FADE), 2 * _FADE + 1).max(axis=1)
    is_blank = contrast < np.maximum(_BLANK, _BLANK_SHARE * around)
    edges = np.flatnonzero(np.diff(is_blank, prepend=False, append=False))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _ramp(contrast: Floats) -> int:
    """How many pictures, counted away from a blank one, a fade has; 0 where there is none."""
    if not len(contrast):
        return 0
    falls = np.flatnonzero(np.diff(contrast) < 0)
    length = int(falls[0]) + 1 if len(falls) else len(contrast)
    return length if contrast[0] < _FADED * contrast[length - 1] else 0
