"""Sound of any format, or of several in turn, as one format without holes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

#: Silence is made in pieces, so that a long hole needs no memory.
_PIECE_SECONDS: Final = 10
#: How libav names channels of which a file does not say what they are.
_UNNAMED: Final = " channels"


class Resampled:
    """An audio sink that hands on what it hears in one format, with silence in the holes."""

    def __init__(self, sample_format: str, layout: str | AudioLayout, rate: int, take: Callable[[AudioFrame], None]):
        """`take` gets every piece: its sample n, counted from the first, stands n / rate seconds after the start."""
        self._format, self._layout, self._rate = sample_format, layout, rate
        self._take = take
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        self._samples = 0

    def add(self, frame: AudioFrame) -> None:
        if not _is_usual(frame.layout):
            frame = _mixed(frame)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or shape != self._shape:
            self.finish()
            self._resampler, self._shape = AudioResampler(self._format, self._layout, self._rate), shape
        self._hand_on(self._resampler.resample(frame))

    def fill(self, until: float) -> None:
        self.finish()
        missing = round(until * self._rate) - self._samples
        if missing > 0:
            self._be_silent(missing)
            self._samples += missing

    def _be_silent(self, missing: int) -> None:
        """Take so many samples of silence."""
        while missing > 0:
            piece = min(missing, _PIECE_SECONDS * self._rate)
            self._take(self.silence(piece))
            missing -= piece

    def finish(self) -> None:
        if self._resampler is not None:
            self._hand_on(self._resampler.resample(None))
            self._resampler, self._shape = None, None

    def silence(self, samples: int) -> AudioFrame:
        """So much of it, in this format; it is not handed on."""
        frame = AudioFrame(self._format, self._layout, samples)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = self._rate
        return frame

    def _hand_on(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._samples += frame.samples
            self._take(frame)


class Named:
    """Names the channels of which a file says nothing, once for all who hear them.

    The graph of the first sink would do so, in the frame that the others get, and theirs would refuse it.
    """

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None

    def named(self, frame: AudioFrame) -> AudioFrame:
        """The same sound; the same frame where its channels have names, or cannot have any."""
        if not frame.layout.name.endswith(_UNNAMED) or not _is_usual(frame.layout):
            return frame
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or shape != self._shape:
            self._resampler = AudioResampler(frame.format, usual_layout(frame.layout), frame.sample_rate)
            self._shape = shape
        (named,) = self._resampler.resample(frame)
        return named


def usual_layout(layout: AudioLayout) -> AudioLayout:
    """This one; what ffmpeg takes for so many channels where a file does not say which is which; else mono."""
    if not layout.name.endswith(_UNNAMED):
        return layout
    return AudioLayout(f"{layout.nb_channels}c" if _is_usual(layout) else "mono")


def _is_usual(layout: AudioLayout) -> bool:
    """Whether swresample knows what to do with it: not so with, say, nine channels of which nothing is said."""
    if not layout.name.endswith(_UNNAMED):
        return True
    try:
        AudioLayout(f"{layout.nb_channels}c")
    except ValueError:
        return False
    return True


def _mixed(frame: AudioFrame) -> AudioFrame:
    """The mean of its channels."""
    sound = frame.to_ndarray()
    channels = sound if frame.format.is_planar else sound.reshape(-1, frame.layout.nb_channels).T
    mean = channels.mean(axis=0, keepdims=True).astype(sound.dtype)
    mixed = AudioFrame.from_ndarray(mean, format=frame.format.name, layout="mono")
    mixed.sample_rate = frame.sample_rate
    return mixed


def samples(frame: AudioFrame) -> NDArray[np.int16]:
    """A frame of 16-bit mono as numbers."""
    return np.frombuffer(memoryview(frame.planes[0]), np.int16, count=frame.samples)
