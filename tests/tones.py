"""Tones of known loudness, after EBU Tech 3341 and 3342 (https://tech.ebu.ch/publications/tech3341)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 48_000


def make_tones(
    path: Path,
    parts: Sequence[tuple[float, float]],
    *,
    layout: str = "stereo",
    hertz: float = 1000.0,
    phase_degrees: float = 0.0,
    fade_seconds: float = 0.0,
    rate: int = SAMPLE_RATE,
) -> Path:
    """A WAV file: for each part so many seconds of a sine in every channel, its peak at so many dBFS."""
    with av.open(path, "w", format="wav") as recording:
        stream = recording.add_stream("pcm_f32le", rate=rate, layout=layout)
        for frame in tones(
            parts, layout=layout, hertz=hertz, phase_degrees=phase_degrees, fade_seconds=fade_seconds, rate=rate
        ):
            recording.mux(stream.encode(frame))
        recording.mux(stream.encode(None))
    return path


def tones(
    parts: Sequence[tuple[float, float]],
    *,
    layout: str = "stereo",
    hertz: float = 1000.0,
    phase_degrees: float = 0.0,
    fade_seconds: float = 0.0,
    rate: int = SAMPLE_RATE,
) -> Iterator[av.AudioFrame]:
    """The same as frames of a tenth of a second."""
    levels = np.concatenate([np.full(round(seconds * rate), 10 ** (level / 20)) for seconds, level in parts])
    turns = 2 * np.pi * hertz * np.arange(len(levels)) / rate + math.radians(phase_degrees)
    inside = np.minimum(np.arange(len(levels)), np.arange(len(levels))[::-1]) / rate
    faded = np.clip(inside / fade_seconds, 0, 1) if fade_seconds else 1.0
    wave = (levels * faded * np.sin(turns)).astype(np.float32)
    channels = av.AudioLayout(layout).nb_channels
    for start in range(0, len(wave), rate // 10):
        piece = np.repeat(wave[start : start + rate // 10], channels).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame
