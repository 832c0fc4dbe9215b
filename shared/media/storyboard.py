"""Small pictures on one sheet, for players' seek bars: storyboard.jpg, and storyboard.vtt that says which is when.

Each cue of the WebVTT file names its part of the sheet as a media fragment, `storyboard.jpg#xywh=160,90,160,90`
(https://www.w3.org/TR/media-frags/#naming-space).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Final

from av.video.frame import VideoFrame
from PIL import Image

from shared.media.artifacts import ArtifactFolder
from shared.media.facts import VideoFacts
from shared.media.pictures import Painter, jpeg
from shared.media.sinks import Pictures
from shared.media.subtitles import Cue, webvtt
from shared.operations import Storyboard

#: Without a wish: one for each second, and no more than these.
_MOST: Final = 100
_COLUMNS: Final = 10
#: A tile is no higher than so many times its width, or a tall film's sheet would not fit into memory.
_TALLEST: Final = 2
_NAME: Final = "storyboard.jpg"
#: Of a cue, in seconds: WebVTT counts thousandths, and forbids what begins and ends at once.
_SHORTEST: Final = 0.002


class StoryboardMaker:
    """A video sink; holds the sheet."""

    def __init__(self, operation: Storyboard, video: VideoFacts, length: float, folder: ArtifactFolder) -> None:
        """`length` is the file's, in seconds."""
        self._folder = folder
        self._length = length
        self._box = (operation.width, operation.width * _TALLEST)
        self._painter = Painter(video.aspect, interpolation="AREA")
        start, end = video.span(length)
        wanted = operation.count or min(math.ceil(end - start), _MOST)
        self._count = max(min(wanted, int((end - start) / _SHORTEST)), 1)
        self._step = (end - start) / self._count
        self._starts = [start + self._step * index for index in range(self._count)]
        self.needs = Pictures(
            moments=tuple(start + self._step / 2 for start in self._starts),
            # Near enough: the picture is then one from the tile's own time.
            keyframes=video.keyframe_gap is not None and video.keyframe_gap <= self._step / 2,
        )
        self._sheet: Image.Image | None = None
        self._tile = (0, 0)
        self._placed = 0

    def add(self, frame: VideoFrame, moment: float) -> None:
        picture = self._painter.paint(frame, *self._box)
        if self._sheet is None:
            self._tile = picture.size
            columns, rows = min(self._count, _COLUMNS), math.ceil(self._count / _COLUMNS)
            self._sheet = Image.new("RGB", (columns * picture.width, rows * picture.height))
        elif picture.size != self._tile:  # a recording that changes its shape on the way
            picture = picture.resize(self._tile)
        self._sheet.paste(picture, self._place(self._placed))
        self._placed += 1

    def finish(self) -> None:
        """Nothing is held back."""

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()

    def write(self) -> dict[str, Any]:
        """Write both files; answers the summary."""
        assert self._sheet is not None  # noqa: S101
        self._folder.write_bytes(_NAME, jpeg(self._sheet), "image/jpeg")
        bounds = [0.0, *self._starts[1:], max(self._length, self._starts[-1] + 0.001)]
        width, height = self._tile
        cues = [
            Cue(begins, ends, (f"{_NAME}#xywh={left},{top},{width},{height}",))
            for (begins, ends), (left, top) in zip(pairwise(bounds), map(self._place, range(self._count)), strict=True)
        ]
        self._folder.write_text("storyboard.vtt", webvtt(cues), "text/vtt; charset=utf-8")
        return {
            "count": self._count,
            "columns": self._sheet.width // width,
            "rows": self._sheet.height // height,
            "tile_width": width,
            "tile_height": height,
            "interval_s": round(self._step, 3),
        }

    def _place(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, _COLUMNS)
        return column * self._tile[0], row * self._tile[1]
