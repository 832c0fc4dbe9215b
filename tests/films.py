"""Small films of any container and coding, whose pictures and sound tell their own times.

The pictures are those of tests/media.py: the bar stands where the time is. The sound is silence with one beep, from a
half to three quarters of the film's length.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.packet import Packet
from av.video.reformatter import Colorspace

from tests.media import AUDIO_CODECS, FORMATS, picture

QUICK = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "13"},
}
#: AVCOL_SPC_* to what swscale calls it.
_MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 9: Colorspace.BT2020}


@dataclass(frozen=True, slots=True)
class Film:
    suffix: str = ".mp4"
    #: None for no pictures, no sound.
    codec: str | None = "libx264"
    audio: str | None = "default"
    seconds: float = 2.0
    size: tuple[int, int] = (160, 90)
    fps: Fraction | int = 25
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    #: AVColorRange, AVColorPrimaries, AVColorTransferCharacteristic, AVColorSpace.
    colors: tuple[int, int, int, int] | None = None
    rate: int = 48_000
    layout: str = "stereo"
    rotation: int = 0
    mirrored: bool = False
    #: When the pictures begin and when the sound does, on the container's clock.
    video_start: float = 0.0
    audio_start: float = 0.0
    #: Of each picture, in seconds; even by default.
    times: Sequence[float] = ()
    muxer: dict[str, str] = field(default_factory=dict)
    #: What is done to the finished file.
    after: Callable[[bytes], bytes] | None = None

    @property
    def moments(self) -> list[float]:
        """When each picture is shown, counted from where the pictures begin."""
        return list(self.times) or [float(index / self.fps) for index in range(round(self.seconds * self.fps))]

    @property
    def beep(self) -> tuple[float, float]:
        """When it begins and ends, counted from where the sound begins."""
        return self.seconds / 2, self.seconds * 3 / 4


def make_film(path: Path, film: Film) -> Path:
    """Write it; `path` ends with the film's suffix. One of no seconds is nothing but headers."""
    with ordinary_priority(), av.open(path, "w", format=FORMATS.get(film.suffix), options=film.muxer) as container:
        pictures = _pictures(container, film) if film.codec else iter(())
        sound = _sound(container, film) if film.audio else iter(())
        if not film.seconds:
            container.start_encoding()  # for the headers
            return path
        for packet in _interleaved(pictures, sound):
            container.mux(packet)
    if film.after:
        path.write_bytes(film.after(path.read_bytes()))
    return path


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """SVT-AV1 makes who opens it a real-time process where it may, as for root (EbEncHandle.c, switch_to_real_time).

    All that such a process starts is one, too: servers that spin for a moment then starve the machine for minutes.
    """
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _interleaved(*streams: Iterator[Packet]) -> Iterator[Packet]:
    waiting = [(packet, stream) for stream in streams if (packet := next(stream, None))]
    while waiting:
        packet, stream = chosen = min(waiting, key=lambda each: each[0].dts * each[0].time_base)
        waiting.remove(chosen)
        yield packet
        if following := next(stream, None):
            waiting.append((following, stream))


def _pictures(container: av.container.OutputContainer, film: Film) -> Iterator[Packet]:
    stream = container.add_stream(film.codec, rate=film.fps, options=QUICK.get(film.codec, {}) | film.options)
    stream.width, stream.height, stream.pix_fmt = *film.size, film.pix_fmt
    context = stream.codec_context
    context.time_base = Fraction(1, 1000) if film.times else 1 / Fraction(film.fps)
    matrix, full = None, film.pix_fmt.startswith("yuvj")
    if film.colors:
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = film.colors
        matrix, full = _MATRICES[film.colors[3]], film.colors[0] == 2
    if film.rotation or film.mirrored:
        stream.set_display_rotation(film.rotation, hflip=film.mirrored)

    def packets() -> Iterator[Packet]:
        for moment in film.moments:
            pixels = picture(film.size, moment / film.seconds)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format=film.pix_fmt,
                dst_colorspace=matrix,
                dst_color_range="JPEG" if full else "MPEG",
            )
            frame.pts = round((moment + film.video_start) / context.time_base)
            frame.time_base = context.time_base
            yield from stream.encode(frame)
        yield from stream.encode(None)

    return packets()


def _sound(container: av.container.OutputContainer, film: Film) -> Iterator[Packet]:
    codec = AUDIO_CODECS.get(film.suffix, "aac") if film.audio == "default" else film.audio
    stream = container.add_stream(codec, rate=film.rate, layout=film.layout)

    def packets() -> Iterator[Packet]:
        context = stream.codec_context
        resampler = AudioResampler(context.format, film.layout, film.rate, frame_size=context.frame_size or 1024)
        for frame in chain([_beep(film)], [None]):
            for piece in resampler.resample(frame):
                piece.pts += round(film.audio_start * film.rate)
                yield from stream.encode(piece)
        yield from stream.encode(None)

    return packets()


def _beep(film: Film) -> av.AudioFrame:
    time = np.arange(round(film.seconds * film.rate)) / film.rate
    begins, ends = film.beep
    wave = (0.5 * np.sin(2 * np.pi * 1000 * time) * ((time >= begins) & (time < ends))).astype(np.float32)
    channels = av.AudioLayout(film.layout).nb_channels
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels).reshape(1, -1), format="flt", layout=film.layout)
    frame.sample_rate, frame.pts, frame.time_base = film.rate, 0, Fraction(1, film.rate)
    return frame
