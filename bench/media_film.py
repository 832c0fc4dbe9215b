"""A film to measure on: 1080p H.264 with B-frames, grain, motion and cuts, and stereo AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np

_SIZE: Final = (1920, 1080)
_RATE: Final = 48_000


def make_film(path: Path, *, seconds: int = 12, fps: int = 30) -> Path:
    """About 0.9 MB for each second; a cut every four seconds."""
    with av.open(path, "w", options={"movflags": "+faststart"}) as film:
        options = {"preset": "veryfast", "b": "7500k", "bf": "2"}
        video = film.add_stream("libx264", rate=fps, options=options)
        video.width, video.height, video.pix_fmt = *_SIZE, "yuv420p"
        video.thread_type = "AUTO"
        sound = film.add_stream("aac", rate=_RATE, layout="stereo")
        for index, luma in enumerate(_pictures(seconds * fps, fps)):
            frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        for heard in _sound(seconds):
            film.mux(sound.encode(heard))
        film.mux(sound.encode(None))
    return path


def _pictures(count: int, fps: int) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    dice = np.random.default_rng(1)
    width, height = _SIZE
    grain = dice.integers(0, 24, (height, width + 256), np.uint8)
    for index in range(count):
        if index % (4 * fps) == 0:
            patches = dice.integers(0, 220, (9, 24), np.uint8)
            scene = np.repeat(np.repeat(patches, height // 9, axis=0), 80, axis=1)
        shift = index * 3 % 240
        start = int(dice.integers(0, 256))
        yield np.roll(scene, shift, axis=1)[:, :width] + grain[:, start : start + width]


def _sound(seconds: int) -> Iterator[av.AudioFrame]:
    dice = np.random.default_rng(2)
    for start in range(0, seconds * _RATE, 1024):
        pcm = dice.normal(0, 2000, (1, 2 * 1024)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, Fraction(1, _RATE)
        yield frame
