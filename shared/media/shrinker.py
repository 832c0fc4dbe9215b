"""Making pictures smaller: swscale's contexts are costly to set up, so they are kept."""

from __future__ import annotations

from typing import Any

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter


class Shrinker:
    """Shrinks frame after frame; one for each thread."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, str], VideoReformatter] = {}

    def shrink(self, frame: VideoFrame, size: tuple[int, int], pixels: str, **options: Any) -> VideoFrame:
        """The frame in this size (width, height) and pixel format; `options` as VideoReformatter.reformat has them."""
        key = (*size, pixels)
        if key not in self._kept:
            self._kept[key] = VideoReformatter()
        # One thread: the decoder's own keep the cores busy, and such pictures are too small to share out.
        return self._kept[key].reformat(frame, *size, format=pixels, threads=1, **options)
