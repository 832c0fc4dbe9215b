"""Pictures from a video, evenly spread or at given times: thumbnails/0001.jpg and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from av.video.frame import VideoFrame

from shared.media.artifacts import ArtifactFolder
from shared.media.facts import VideoFacts
from shared.media.pictures import Painter, jpeg
from shared.media.sinks import Pictures
from shared.operations import Thumbnails

_DEFAULT_COUNT: Final = 5


class ThumbnailMaker:
    """A video sink that writes each picture as it comes."""

    def __init__(
        self, operation: Thumbnails, video: VideoFacts, length: float, folder: ArtifactFolder, *, is_image: bool
    ) -> None:
        """`length` is the file's, in seconds; of an image there is one picture."""
        self._width, self._length, self._folder = operation.width, length, folder
        self._painter = Painter(video.aspect)
        #: In the order asked for, which is that of the names.
        self._moments = (0.0,) if is_image else moments(operation, video.span(length))
        self.needs = Pictures(moments=tuple(sorted(set(self._moments))))
        self._size = (0, 0)

    def add(self, frame: VideoFrame, moment: float) -> None:
        picture = self._painter.paint(frame, self._width)
        data = jpeg(picture)
        for index, asked in enumerate(self._moments):
            if asked == moment:
                self._folder.write_bytes(_name(index), data, "image/jpeg")
        self._size = picture.size

    def finish(self) -> None:
        """Nothing is held back."""

    @property
    def warnings(self) -> tuple[str, ...]:
        late = sum(moment > self._length for moment in self._moments)
        if not late:
            return ()
        asked = len(self._moments)
        return (f"{late} of {asked} thumbnails lie after the end ({self._length:.2f} s) and show the last picture",)

    def write(self) -> dict[str, Any]:
        """The pictures are written already; answers the summary."""
        return {
            "count": len(self._moments),
            "names": [_name(index) for index in range(len(self._moments))],
            "seconds": [round(moment, 3) for moment in self._moments],
            "width": self._size[0],
            "height": self._size[1],
        }


def moments(operation: Thumbnails, span: tuple[float, float]) -> Sequence[float]:
    """The times asked for: given ones, or the middle of equal parts of the video's span."""
    if operation.seconds is not None:
        return operation.seconds
    count = operation.count or _DEFAULT_COUNT
    start, end = span
    return [start + (end - start) * (index + 0.5) / count for index in range(count)]


def _name(index: int) -> str:
    return f"thumbnails/{index + 1:04}.jpg"
