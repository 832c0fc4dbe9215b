"""What was spoken in one file, on its way through the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.media.audio import SAMPLE_RATE
from shared.media.packing import WINDOW, Phrase, Run, Window
from shared.media.recognizer import Sound, Tongue
from shared.media.vad_spans import SpeechRules
from shared.media.voice import Voice
from shared.media.words import Word

#: Added to speech before and after, in seconds: voiceless sounds, which the detector passes over.
PAD: Final = 0.4
#: Phrases are cut at every little pause, to fill windows well. The rest of a pause shorter than both pads stays in.
_RULES: Final = SpeechRules(min_speech=0.0, min_silence=0.16, pad=PAD, max_speech=WINDOW / SAMPLE_RATE)
#: Before a file's first word and behind its last one less will do: there comes the silence between files.
_EDGES: Final = replace(_RULES, pad=0.2)


@dataclass(frozen=True, slots=True)
class Understood:
    """What the model understood of one file."""

    language: str
    language_probability: float
    #: In seconds of the file, in rising order.
    words: tuple[Word, ...]
    #: Where words were left out because the model made them up, in seconds of the file.
    left_out: tuple[tuple[float, float], ...]


@dataclass(eq=False, slots=True)
class Spoken:
    """A file whose speech waits to be understood. All but `answer` belongs to the thread that owns the model."""

    voice: Voice
    task: str
    language: str | None
    language_probability: float
    waiting: deque[Phrase]
    #: Its speech, in samples.
    total: int
    #: How much of that is done, in samples.
    heard: int = 0
    words: list[Word] = field(default_factory=list)
    left_out: list[tuple[float, float]] = field(default_factory=list)
    answer: Future[Understood] = field(default_factory=Future)

    @classmethod
    def of(cls, voice: Voice, task: str, language: str | None, progress: Callable[[float], None]) -> Spoken:
        """`language` is None when it is to be found. Raises as `VoiceDetector.probabilities`."""
        spans = voice.spans(_RULES, progress)
        if spans:
            edges = voice.spans(_EDGES)
            spans[0] = replace(spans[0], start=edges[0].start)
            spans[-1] = replace(spans[-1], end=edges[-1].end)
        phrases = deque(Phrase(round(span.start * SAMPLE_RATE), round(span.end * SAMPLE_RATE)) for span in spans)
        total = sum(phrase.length for phrase in phrases)
        return cls(voice, task, language, 1.0 if language else 0.0, phrases, total)

    @property
    def tongue(self) -> Tongue | None:
        """None as long as the language is unknown."""
        return Tongue(self.language, self.task) if self.language else None

    @property
    def fraction(self) -> float:
        """How much of it is done."""
        return self.heard / (self.total or 1)

    def beginning(self) -> NDArray[np.float32]:
        """Its first speech, up to a window of it."""
        parts: list[NDArray[np.float32]] = []
        for phrase in self.waiting:
            parts.append(self._samples(phrase))
            if sum(map(len, parts)) >= WINDOW:
                break
        return np.concatenate(parts)

    def copy(self, run: Run[Spoken], window: NDArray[np.float32]) -> None:
        """Put a run where it belongs in the samples of a window."""
        at = run.at
        for phrase in run.phrases:
            window[at : at + phrase.length] = self._samples(phrase)
            at += phrase.length

    def finish(self) -> None:
        """Nothing is left to be heard."""
        if not self.answer.done():
            language = self.language or "en"
            words = tuple(sorted(self.words, key=lambda word: word.start))
            self.answer.set_result(Understood(language, self.language_probability, words, tuple(self.left_out)))

    def fail(self, error: BaseException) -> None:
        """There will be no answer."""
        self.waiting.clear()
        if not self.answer.done():
            self.answer.set_exception(error)

    def _samples(self, phrase: Phrase) -> NDArray[np.float32]:
        audio = self.voice.audio
        return audio.samples[phrase.start : phrase.end] * np.float32(self.voice.gain * audio.scale)


def sound(window: Window[Spoken]) -> Sound:
    """A window's samples, for the model."""
    samples = np.zeros(WINDOW, np.float32)
    for run in window.runs:
        run.file.copy(run, samples)
    return Sound(samples, window.length)
