"""Whether a picture shows anything: it is not black, not plain and not blurred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from shared.media.shrinker import Shrinker

#: Pictures are judged no larger than this: blur that is gone at this size does not matter to a thumbnail.
_SIZE: Final = (320, 180)
#: As FFmpeg's blackdetect has it: luma of a black pixel (of 255), and the share of them in a black picture.
_BLACK_LUMA: Final = 25.5
_BLACK_SHARE: Final = 0.98
#: Pixels on each side of the blocks whose means tell contrast: grain is none.
_BLOCK: Final = 8
_PLAIN: Final = 4.0
#: Measured at this size on camera and rendered film: sharp 0.02 to 1.3; blurred by a Gaussian of 2 pixels 0.001 to
#: 0.011, of 4 pixels at most 0.005.
_BLURRED: Final = 0.01


@dataclass(frozen=True, slots=True, order=True)
class Look:
    """What can be told of a picture; greater is better."""

    is_lit: bool
    #: Variance of the Laplacian, as a share of the variance that grain has no part in; 0 for a plain picture.
    sharpness: float

    @property
    def is_good(self) -> bool:
        """Whether it will do."""
        return self.is_lit and self.sharpness >= _BLURRED


class Inspector:
    """Looks at the frames of one video."""

    def __init__(self) -> None:
        self._shrinker = Shrinker()

    def look(self, frame: VideoFrame) -> Look:
        size = (min(frame.width, _SIZE[0]), min(frame.height, _SIZE[1]))
        return judge(self._shrinker.shrink(frame, size, "gray", interpolation="AREA").to_ndarray().astype(np.float32))


def judge(luma: NDArray[np.float32]) -> Look:
    """Judge a picture, `[height, width]`, 0 to 255."""
    is_lit = bool((luma <= _BLACK_LUMA).mean() < _BLACK_SHARE)
    height, width = (max(side // _BLOCK, 1) for side in luma.shape)
    blocks = luma[: height * _BLOCK, : width * _BLOCK].reshape(height, -1, width, min(_BLOCK, luma.shape[1]))
    contrast = float(blocks.mean(axis=(1, 3)).std())
    if contrast < _PLAIN or min(luma.shape) < 3:
        return Look(is_lit, 0.0)
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return Look(is_lit, float((4 * luma[1:-1, 1:-1] - around).var()) / contrast**2)
