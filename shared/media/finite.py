"""Sound that is written as floating point may hold what is no number: filters that remember never recover from it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

_KINDS: Final[dict[str, type[np.float32] | type[np.float64]]] = {
    "flt": np.float32,
    "fltp": np.float32,
    "dbl": np.float64,
    "dblp": np.float64,
}


def is_verbatim(stream: AudioStream) -> bool:
    """Whether its decoder hands out the very numbers of the file; others calculate theirs."""
    return stream.codec_context.codec.lossless


def silence_nonsense(frame: AudioFrame) -> int:
    """Make NaN and infinite samples of a fresh frame silence; answers how many there were."""
    kind = _KINDS.get(frame.format.name)
    if kind is None:
        return 0
    found = 0
    for plane in frame.planes:
        samples = np.frombuffer(memoryview(plane), kind)
        if not math.isfinite(samples.sum()):  # cheaper than to look at each, and as sure
            nonsense = ~np.isfinite(samples)
            samples[nonsense] = 0
            found += int(nonsense.sum())
    return found
