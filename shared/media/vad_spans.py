"""From probabilities of speech to spans of it, by the rules of Silero's `get_speech_timestamps`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

_RATE: Final = 16_000
_WINDOW: Final = 512
#: Speech goes on down to so much below its threshold, so that it does not flicker.
_HYSTERESIS: Final = 0.15
_LEAST: Final = 0.01
#: Speech that is too long is split at pauses longer than this only, in seconds.
_SPLIT: Final = 0.098


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording, in seconds from its start."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """What counts as one span of speech; all but the threshold in seconds."""

    #: Speech begins at this probability.
    threshold: float = 0.5
    #: Speech not longer than this is none.
    min_speech: float = 0.25
    #: Shorter pauses belong to the speech around them.
    min_silence: float = 0.1
    #: How much is added before and after; spans so close that they would meet share the pause.
    pad: float = 0.03
    #: Longer speech, pads included, is split at its longest pause, or where it gets too long when it has none.
    max_speech: float = math.inf


def speech_spans(probabilities: NDArray[np.float32], rules: SpeechRules, length: float) -> list[Span]:
    """Where the speech is, in rising order and without overlap.

    `probabilities` are those of `VoiceDetector`, one for each 32 ms; `length` is the recording's, in seconds.
    """
    samples = round(length * _RATE)
    found = _padded(_found(probabilities, rules, samples), rules.pad * _RATE, samples)
    return [Span(start / _RATE, end / _RATE) for start, end in found]


def _found(probabilities: NDArray[np.float32], rules: SpeechRules, samples: int) -> list[list[int]]:
    """Start and end of each span in samples, not padded yet."""
    until = max(rules.threshold - _HYSTERESIS, _LEAST)
    most = (rules.max_speech - 2 * rules.pad) * _RATE - _WINDOW
    found: list[list[int]] = []
    start: int | None = None
    quiet: int | None = None  # since when there is no speech, should this be its end
    pauses: list[tuple[int, int]] = []  # in the speech under way: their lengths and starts
    for number, probability in enumerate(probabilities.tolist()):
        at = number * _WINDOW
        if probability >= rules.threshold:
            if quiet is not None and at - quiet > _SPLIT * _RATE:
                pauses.append((at - quiet, quiet))
            quiet = None
            if start is None:
                start = at
                continue
        if start is None:
            continue
        if at - start > most:
            if not pauses:
                found.append([start, at])
                start = quiet = None
                continue
            pause, end = max(pauses, key=itemgetter(0))
            found.append([start, end])
            start, quiet, pauses = end + pause, None, []
        if probability < until:
            quiet = at if quiet is None else quiet
            if at - quiet >= rules.min_silence * _RATE:
                if quiet - start > rules.min_speech * _RATE:
                    found.append([start, quiet])
                start, quiet, pauses = None, None, []
    if start is not None and samples - start > rules.min_speech * _RATE:
        found.append([start, samples])
    return found


def _padded(spans: list[list[int]], pad: float, samples: int) -> list[list[int]]:
    if spans:
        spans[0][0] = int(max(0, spans[0][0] - pad))
        spans[-1][1] = int(min(samples, spans[-1][1] + pad))
    for one, following in pairwise(spans):
        pause = following[0] - one[1]
        room = pause // 2 if pause < 2 * pad else pad
        one[1] = int(min(samples, one[1] + room))
        following[0] = int(following[0] - room)
    return spans
