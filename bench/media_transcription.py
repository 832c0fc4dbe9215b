"""Speech to text against plain faster-whisper: same model, compute type and beam, word times on both sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import jiwer
import numpy as np
from numpy.typing import NDArray

from bench.media_rounds import Setting, in_turn, ratios, timed
from bench.report import Figure
from shared.media.audio import SAMPLE_RATE, Audio, decode_audio
from shared.media.model import SpeechModel
from shared.media.recognizer import BEAM_SIZE
from shared.media.speech_batches import SpeechBatches
from shared.media.transcribe import transcribe
from shared.media.vad import VoiceDetector
from shared.media.voice import Voice
from shared.operations import Transcribe

#: What the recording says.
_READING: Final = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season
of darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before
us, we were all going direct to heaven, we were all going direct the other way, in short, the period was so far like the
present period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the
superlative degree of comparison only."""
#: Pieces of about six seconds, cut in the reader's pauses: from, to, and what is said.
_PIECES: Final = (
    (0.5, 6.5, "It was the best of times, it was the worst of times, it was the age of wisdom,"),
    (4.83, 10.58, "it was the age of wisdom, it was the age of foolishness, it was the epoch of belief,"),
    (15.0, 20.9, "it was the season of darkness, it was the spring of hope, it was the winter of despair,"),
    (20.9, 26.33, "we had everything before us, we had nothing before us, we were all going direct to heaven,"),
    (26.33, 32.56, "we were all going direct the other way, in short, the period was so far like the present period,"),
)
#: Files, and seconds of the long one, for each second of the film: forty, and five minutes, beside the real one.
_FILES: Final = 0.4
_LONG_SECONDS: Final = 3

Samples = NDArray[np.float32]


class _Rivals:
    """Both ways to text, on one loaded model."""

    def __init__(self, setting: Setting, compute_type: str) -> None:
        model = SpeechModel(setting.assets.model, device="cpu", compute_type=compute_type)
        self._plain = model.get()
        self._batches = SpeechBatches(model, model.windows_at_once)
        self._detector = VoiceDetector(setting.assets.weights)

    def plain(self, samples: Samples) -> str:
        segments, _ = self._plain.transcribe(samples, language="en", beam_size=BEAM_SIZE, word_timestamps=True)
        return "".join(segment.text for segment in segments)

    def ours(self, samples: Samples) -> str:
        voice = Voice(Audio(samples), self._detector)
        return transcribe(voice, Transcribe(language="en"), self._batches, lambda fraction: None).text


def measure_transcription(setting: Setting, compute_type: str = "auto") -> list[Figure]:
    """A long file, and forty short ones together."""
    rivals = _Rivals(setting, compute_type)
    reading = _decoded(setting.assets.speech)
    # The first calls load.
    start = reading[: round(_PIECES[0][1] * SAMPLE_RATE)]
    rivals.ours(start), rivals.plain(start)
    return [*_long(setting, rivals, reading), *_short(setting, rivals, reading)]


def _long(setting: Setting, rivals: _Rivals, reading: Samples) -> list[Figure]:
    times = max(round(_LONG_SECONDS * setting.seconds * SAMPLE_RATE / len(reading)), 1)
    samples = np.concatenate([reading] * times)
    return _compared(
        setting,
        f"{len(samples) / SAMPLE_RATE:.0f} s of speech",
        lambda: [rivals.ours(samples)],
        lambda: [rivals.plain(samples)],
        [" ".join([_READING] * times)],
        bounds=(1.35, 1.6),
    )


def _short(setting: Setting, rivals: _Rivals, reading: Samples) -> list[Figure]:
    pieces = [reading[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end, _ in _PIECES]
    count = round(_FILES * setting.seconds)
    files = [pieces[number % len(pieces)] for number in range(count)]
    texts = [_PIECES[number % len(_PIECES)][2] for number in range(count)]

    def together() -> list[str]:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(rivals.ours, files))

    label = f"{count} files of 6 s together"
    return _compared(setting, label, together, lambda: [rivals.plain(each) for each in files], texts, bounds=(2.0, 4.0))


def _compared(
    setting: Setting,
    label: str,
    ours: Callable[[], list[str]],
    plain: Callable[[], list[str]],
    texts: Sequence[str],
    bounds: tuple[float, float],
) -> list[Figure]:
    wrong: dict[str, list[float]] = {"ours": [], "plain": []}

    def judged(name: str, work: Callable[[], list[str]]) -> Callable[[], float]:
        heard: list[list[str]] = []
        measure = timed(lambda: heard.append(work()))

        def once() -> float:
            seconds = measure()
            wrong[name].append(100 * jiwer.wer([_words(text) for text in texts], [_words(text) for text in heard[-1]]))
            return seconds

        return once

    taken = in_turn(setting.rounds, {"ours": judged("ours", ours), "plain": judged("plain", plain)})
    worse = [mine - theirs for mine, theirs in zip(wrong["ours"], wrong["plain"], strict=True)]
    must, aim = bounds
    return [
        Figure.median(f"{label}, transcribed", taken["ours"], "s", "lower"),
        Figure.median(
            f"{label}: plain faster-whisper / ours", ratios(taken["plain"], taken["ours"]), "x", "higher", must, aim
        ),
        Figure.median(f"{label}: words wrong, plain faster-whisper", wrong["plain"], "%", "lower"),
        Figure.median(f"{label}: words wrong, ours", wrong["ours"], "%", "lower"),
        Figure.median(f"{label}: words wrong, ours less plain's", worse, "points", "lower", 0.0, 0.0),
    ]


def _decoded(path: Path) -> Samples:
    audio = decode_audio(path, lambda fraction: None)
    return audio.samples * np.float32(audio.scale)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))
