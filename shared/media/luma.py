"""How small gray pictures differ from those just before them, in torch: blocks of frames at once, on any device."""

from __future__ import annotations

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
    """Measures frame by frame; holds 28 bytes for each, and a block of pictures."""

    def __init__(self, size: tuple[int, int], device: str = "cpu") -> None:
        """`size` is every picture's width and height."""
        take_one_core()
        width, height = size
        self._device = device
        self._block = np.empty((REACH + _BLOCK, height, width), np.uint8)
        #: The first picture there is, and where the next one goes; those before `REACH` are measured already.
        self._first = self._next = REACH
        self._measured: list[Measures] = []

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
        return Measures(
            np.concatenate([part.differences for part in self._measured]),
            np.concatenate([part.contrast for part in self._measured]),
            np.concatenate([part.likeness for part in self._measured]),
        )

    def _measure(self) -> None:
        end = self._next
        pictures = torch.from_numpy(self._block[:end]).to(self._device).flatten(1).float()
        pictures[: self._first] = torch.nan
        before = [pictures[REACH - lag : end - lag] for lag in range(1, REACH + 1)]
        differences = torch.stack([(pictures[REACH:] - each).abs().mean(1) for each in before], 1)
        centred = pictures - pictures.mean(1, keepdim=True)
        contrast = centred.square().mean(1).sqrt()
        likeness = (centred[1:] * centred[:-1]).mean(1) / (contrast[1:] * contrast[:-1]).clamp_min(1e-6)
        self._measured.append(
            Measures(differences.cpu().numpy(), contrast[REACH:].cpu().numpy(), likeness[REACH - 1 :].cpu().numpy())
        )
        self._block[:REACH] = self._block[end - REACH : end]
        self._first, self._next = max(self._first - (end - REACH), 0), REACH
