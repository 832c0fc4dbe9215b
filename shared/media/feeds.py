"""Which of the decoded pictures a sink gets: every one, made small, or those shown at its moments."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from av.video.frame import VideoFrame

from shared.media import hardware
from shared.media.shrinker import Shrinker
from shared.media.sinks import Pictures, SmallSink, VideoSink, Watcher

#: To shrink a picture to a fraction, the quickest way does.
_QUICK: Final = "FAST_BILINEAR"


class Feed(Protocol):
    def add(self, frame: VideoFrame, moment: float) -> None:
        """The next decoded picture and its time in seconds."""

    def finish(self) -> None:
        """There is no more."""


def feeds(sinks: Sequence[Watcher]) -> list[Feed]:
    """One feed for each way of wanting pictures: sinks that want the same share it."""
    small: dict[Pictures, list[SmallSink]] = {}
    whole: dict[Pictures, list[VideoSink]] = {}
    for sink in sinks:
        if isinstance(sink, SmallSink):
            small.setdefault(sink.needs, []).append(sink)
        else:
            whole.setdefault(sink.needs, []).append(sink)
    return [
        *(_SmallPictures(needs, each) for needs, each in small.items()),
        *(
            _EveryPicture(each) if needs.moments is None else _PicturesShown(each, needs.moments)
            for needs, each in whole.items()
        ),
    ]


class _SmallPictures:
    def __init__(self, needs: Pictures, sinks: Sequence[SmallSink]) -> None:
        assert needs.size is not None  # noqa: S101
        self._size, self._pixels = needs.size, needs.pixels
        self._sinks = sinks
        self._shrinker = Shrinker()

    def add(self, frame: VideoFrame, moment: float) -> None:
        if self._pixels == "gray" and hardware.holds(frame):
            pixels = hardware.shrunk_luma(frame, self._size)
        else:
            small = self._shrinker.shrink(frame, self._size, self._pixels, interpolation=_QUICK)
            pixels = small.to_ndarray().astype(np.uint8, copy=False)
        for sink in self._sinks:
            sink.see(pixels, frame, moment)

    def finish(self) -> None:
        for sink in self._sinks:
            sink.finish()


class _EveryPicture:
    def __init__(self, sinks: Sequence[VideoSink]) -> None:
        self._sinks = sinks

    def add(self, frame: VideoFrame, moment: float) -> None:
        for sink in self._sinks:
            sink.add(frame, moment)

    def finish(self) -> None:
        for sink in self._sinks:
            sink.finish()


class _PicturesShown(_EveryPicture):
    """At each moment the last picture that has begun: the first one before the start, the last one after the end."""

    def __init__(self, sinks: Sequence[VideoSink], moments: Sequence[float]) -> None:
        super().__init__(sinks)
        self._moments = deque(moments)
        self._shown: VideoFrame | None = None

    def add(self, frame: VideoFrame, moment: float) -> None:
        self._show(self._shown or frame, before=moment)
        self._shown = frame

    def finish(self) -> None:
        if self._shown is not None:
            self._show(self._shown, before=float("inf"))
        super().finish()

    def _show(self, frame: VideoFrame, *, before: float) -> None:
        while self._moments and self._moments[0] < before:
            super().add(frame, self._moments.popleft())
