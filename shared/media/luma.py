"""How small gray pictures differ from those just before them, in torch: blocks of frames at once."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from shared.media.torch_threads import take_one_core

Floats = NDArray[np.float32]

#: Each picture is compared with so many before it.
REACH: Final = 5
_BLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class Measures:
    """What is known of each frame of a film, in its order."""

    #: `[frames, REACH]`: mean absolute difference of luma (0-255) from the frame 1, 2, ... before; NaN where none is.
    differences: Floats
    #: `[frames]`: standard deviation of luma: near 0 for a blank picture.
    contrast: Floats
    #: `[frames]`: correlation with the frame before, -1 to 1: brighter or darker alone, a picture stays at 1.
    likeness: Floats


class LumaMeter:
    """Measures frame by frame; holds 28 bytes for each, and a block of pictures.

    All it works in is made once: what is given back to malloc in megabytes, with something small kept each time, stays
    with the process (12 kB a frame did).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """`size` is every picture's width and height."""
        take_one_core()
        width, height = size
        self._block = np.empty((REACH + _BLOCK, height, width), np.uint8)
        self._pictures = torch.empty((REACH + _BLOCK, height * width))
        self._between = torch.empty_like(self._pictures)
        #: The first picture there is, and where the next one goes; those before `REACH` are measured already.
        self._first = self._next = REACH
        #: Of each frame its differences, contrast and likeness.
        self._measured = array("f")

    def add(self, luma: NDArray[np.uint8]) -> None:
        """The next picture, `[height, width]`; it is copied."""
        self._block[self._next] = luma
        self._next += 1
        if self._next == len(self._block):
            self._measure()

    def measures(self) -> Measures:
        """Of all pictures so far: one at least."""
        if self._next > REACH:
            self._measure()
        rows = np.array(self._measured, np.float32).reshape(-1, REACH + 2)
        return Measures(rows[:, :REACH], rows[:, REACH], rows[:, REACH + 1])

    def _measure(self) -> None:
        end = self._next
        pictures, between = self._pictures[:end], self._between[:end]
        pictures.copy_(torch.from_numpy(self._block[:end]).flatten(1))
        pictures[: self._first] = torch.nan
        measured = [
            torch.sub(pictures[REACH:], pictures[REACH - lag : end - lag], out=between[REACH:]).abs_().mean(1)
            for lag in range(1, REACH + 1)
        ]
        centred = pictures.sub_(pictures.mean(1, keepdim=True))
        contrast = torch.mul(centred, centred, out=between).mean(1).sqrt()
        alike = torch.mul(centred[1:], centred[:-1], out=between[1:]).mean(1)
        likeness = alike / (contrast[1:] * contrast[:-1]).clamp_min(1e-6)
        measured += [contrast[REACH:], likeness[REACH - 1 :]]
        self._measured.frombytes(torch.stack(measured, 1).numpy().tobytes())
        self._block[:REACH] = self._block[end - REACH : end]
        self._first, self._next = max(self._first - (end - REACH), 0), REACH
