"""What takes decoded frames: an operation says what it needs, and gets that and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray


class AudioSink(Protocol):
    """Hears all of the sound, on the file's own timeline: what it is given follows without holes."""

    def add(self, frame: AudioFrame) -> None:
        """The next sound, as decoded and without a time of its own; others get the same frame: read it only."""

    def fill(self, until: float) -> None:
        """Nothing was recorded up to this time, in seconds from the start of the file."""

    def finish(self) -> None:
        """There is no more."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures that a sink needs."""

    #: Width and height to which they are shrunk; None for frames as decoded.
    size: tuple[int, int] | None = None
    #: The pixel format, where they are shrunk.
    pixels: str = "gray"
    #: Seconds from the start of the file: the picture shown at each, in rising order. None: every picture. Empty: what
    #: is known only after the pass.
    moments: tuple[float, ...] | None = None
    #: How many of the moments have to be sought as a rule, where some are for want of a better one.
    choices: int | None = None
    #: Whether the keyframe before a moment will do.
    keyframes: bool = False

    @property
    def seeks(self) -> int:
        """How many moments have to be sought as a rule."""
        return self.choices if self.choices is not None else len(self.moments or ())


class VideoSink(Protocol):
    """Sees the pictures it asked for, as decoded."""

    @property
    def needs(self) -> Pictures: ...

    def add(self, frame: VideoFrame, moment: float) -> None:
        """A picture and its time: its own, or the moment asked for. Others get the same frame: read it only."""

    def finish(self) -> None:
        """There is no more."""


@runtime_checkable
class SmallSink(Protocol):
    """Sees every picture, shrunk to the size it needs."""

    @property
    def needs(self) -> Pictures: ...

    def see(self, pixels: NDArray[np.uint8], frame: VideoFrame, moment: float) -> None:
        """A picture `[height, width]` (colours: and 3), the frame it was, for what else that says, and its time.

        Others get the same pixels: read them only.
        """

    def finish(self) -> None:
        """There is no more."""


Watcher = VideoSink | SmallSink
