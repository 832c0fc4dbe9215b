"""Making pictures smaller: swscale's contexts are costly to set up, so they are kept."""

from __future__ import annotations

from typing import Any, Final

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

#: AVCOL_SPC_UNSPECIFIED, and the matrices (AVCOL_SPC_*) and ranges (AVCOL_RANGE_*) that swscale takes: it refuses all
#: others (ff_test_fmt in libswscale/format.c).
UNSPECIFIED: Final = 2
_MATRICES: Final = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
_RANGES: Final = frozenset({0, 1, 2})
#: BT.2020 with constant luminance, and ICtCp: their colours are near enough to those of the other one, BT2020_NCL.
_NEAREST: Final = {10: 9, 14: 9}


def matrix(frame: VideoFrame) -> int:
    """The frame's own (AVCOL_SPC_*) where swscale takes it, else the nearest that it does, or unspecified."""
    stated = int(frame.colorspace)
    return stated if stated in _MATRICES else _NEAREST.get(stated, UNSPECIFIED)


class Shrinker:
    """Shrinks frame after frame; one for each thread."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, str], VideoReformatter] = {}

    def shrink(self, frame: VideoFrame, size: tuple[int, int], pixels: str, **options: Any) -> VideoFrame:
        """The frame in this size (width, height) and pixel format; `options` as VideoReformatter.reformat has them."""
        key = (*size, pixels)
        if key not in self._kept:
            self._kept[key] = VideoReformatter()
        stated = frame.colorspace, frame.color_range
        try:
            frame.colorspace = matrix(frame)
            if frame.color_range not in _RANGES:
                frame.color_range = 0
            # One thread: the decoder's own keep the cores busy, and such pictures are too small to share out.
            return self._kept[key].reformat(frame, *size, format=pixels, threads=1, **options)
        finally:
            frame.colorspace, frame.color_range = stated
