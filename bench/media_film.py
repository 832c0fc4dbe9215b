"""The films that the media engine is measured on, made once, by PyAV alone, into .cache/bench.

H.264 High with B-frames, grain and cuts; stereo AAC with real speech and pauses. There is no chance in the recipe: the
same film on every machine, up to what x264 makes of another processor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Stream

from bench.media_scenes import scenes
from local.assets import CACHE, Assets

#: Part of the files' names: another recipe, another film.
_EDITION: Final = 2
_FPS: Final = 30
_RATE: Final = 48_000
_PAUSE_SECONDS: Final = 1.6


@dataclass(frozen=True, slots=True)
class Recipe:
    name: str
    seconds: int
    scenes: int
    size: tuple[int, int]
    #: Of the video, in bits a second.
    bit_rate: int


#: 100 MB.
FILM: Final = Recipe("film", seconds=100, scenes=53, size=(1920, 1080), bit_rate=7_770_000)
#: For a look whether everything still runs.
SMALL: Final = Recipe("small-film", seconds=12, scenes=7, size=(320, 180), bit_rate=400_000)


def ensure_film(recipe: Recipe, assets: Assets, cache: Path = CACHE) -> Path:
    """The film; it takes two minutes to make, the first time."""
    path = cache / "bench" / f"{recipe.name}-{_EDITION}.mp4"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _make(Path(folder) / path.name, recipe, assets).replace(path)
    return path


def make_long(path: Path, film: Path, *, size: int, index_in_front: bool) -> Path:
    """The film over and over until the file has at least `size` bytes; its packets are copied."""
    lasts = _longest(film)
    with av.open(path, "w", options={"movflags": "+faststart"} if index_in_front else {}) as long:
        with av.open(film) as once:
            streams = [long.add_stream_from_template(each) for each in once.streams]
        for index in range(-(-size // film.stat().st_size)):
            for packet in _packets(film):
                ticks = round(index * lasts / packet.time_base)
                packet.dts, packet.pts = (packet.dts or 0) + ticks, (packet.pts or 0) + ticks
                packet.stream = streams[packet.stream.index]
                long.mux(packet)
    return path


def _packets(film: Path) -> Iterator[Packet[Stream]]:
    with av.open(film) as container:
        yield from (packet for packet in container.demux() if packet.dts is not None)


def _longest(film: Path) -> Fraction:
    """Of the streams: from a stream's first packet to the end of its last one, in seconds."""
    first: dict[int, Fraction] = {}
    lasts = Fraction(0)
    for packet in _packets(film):
        begins = (packet.dts or 0) * packet.time_base
        ends = begins + (packet.duration or 0) * packet.time_base
        lasts = max(lasts, ends - first.setdefault(packet.stream.index, begins))
    return lasts


def _make(path: Path, recipe: Recipe, assets: Assets) -> Path:
    count = recipe.seconds * _FPS
    with av.open(path, "w", options={"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=_FPS, options={"preset": "veryfast", "profile": "high"})
        video.width, video.height, video.pix_fmt = *recipe.size, "yuv420p"
        video.bit_rate = recipe.bit_rate
        # What x264 writes depends on it: the number of processors must not decide.
        video.codec_context.thread_count = 4
        audio = film.add_stream("aac", rate=_RATE, layout="stereo")
        audio.bit_rate = 160_000
        sound = _sound(recipe.seconds, assets.speech)
        heard = 0
        for index, frame in enumerate(
            scenes(recipe.scenes, frames=count, size=recipe.size, fps=_FPS, clip=assets.pictures)
        ):
            frame.pts, frame.time_base = index, Fraction(1, _FPS)
            film.mux(video.encode(frame))
            while heard * _FPS < (index + 1) * _RATE:
                piece = next(sound)
                film.mux(audio.encode(piece))
                heard += piece.samples
        film.mux(video.encode(None))
        film.mux(audio.encode(None))
    return path


def _sound(seconds: int, speech: Path) -> Iterator[AudioFrame]:
    """The speech over and over with pauses, farther from the right microphone than from the left, and a little hiss."""
    with av.open(speech) as recording:
        spoken = np.concatenate([frame.to_ndarray().reshape(-1) for frame in recording.decode(audio=0)])
    once = np.append(spoken, np.zeros(round(_PAUSE_SECONDS * _RATE), spoken.dtype))
    left = np.resize(once, seconds * _RATE).astype(np.float32)
    right = np.roll(left, _RATE // 80) * 0.7
    both = np.stack([left, right], axis=1) + np.random.default_rng(2).normal(0, 8, (len(left), 2))
    pcm = np.clip(both, -32768, 32767).astype(np.int16)
    for start in range(0, len(pcm), 1024):
        frame = AudioFrame.from_ndarray(pcm[start : start + 1024].reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, Fraction(1, _RATE)
        yield frame
