"""Pictures from a video, evenly spread or at given times: thumbnails/0001.jpg and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.media.artifacts import ArtifactFolder
from shared.media.container import is_image
from shared.media.frames import FrameReader
from shared.media.pictures import jpeg, thumbnail
from shared.operations import Thumbnails

_DEFAULT_COUNT: Final = 5


@dataclass(frozen=True, slots=True)
class Made:
    """The pictures written, in the order asked for."""

    names: tuple[str, ...]
    #: Seconds from the start of the file.
    seconds: tuple[float, ...]
    width: int
    height: int
    warnings: tuple[str, ...]


def make(
    source: Path, operation: Thumbnails, length: float, folder: ArtifactFolder, progress: Callable[[float], None]
) -> Made:
    """Write the pictures. `length` is the file's, in seconds; `progress` gets the fraction done, at every frame.

    Raises ProcessingFailed (`no_video_stream`, `undecodable`).
    """
    done = 0.0
    with FrameReader(source, lambda: progress(done)) as reader:
        moments = _moments(reader, operation, length)
        size = (0, 0)
        # In rising order, which reads the file once; named in the order asked for.
        for count, index in enumerate(sorted(range(len(moments)), key=moments.__getitem__)):
            done = count / len(moments)
            picture = thumbnail(reader.at(moments[index]), reader.stream.sample_aspect_ratio, operation.width)
            folder.write_bytes(_name(index), jpeg(picture), "image/jpeg")
            size = picture.size
    names = tuple(map(_name, range(len(moments))))
    return Made(names, tuple(round(moment, 3) for moment in moments), *size, warnings=_warnings(moments, length))


def _moments(reader: FrameReader, operation: Thumbnails, length: float) -> Sequence[float]:
    if is_image(reader.container):
        return (0.0,)
    if operation.seconds is not None:
        return operation.seconds
    count = operation.count or _DEFAULT_COUNT
    start, end = reader.span(length)
    return [start + (end - start) * (index + 0.5) / count for index in range(count)]


def _name(index: int) -> str:
    return f"thumbnails/{index + 1:04}.jpg"


def _warnings(moments: Sequence[float], length: float) -> tuple[str, ...]:
    late = sum(moment > length for moment in moments)
    if not late:
        return ()
    return (f"{late} of {len(moments)} thumbnails lie after the end ({length:.2f} s) and show the last picture",)
