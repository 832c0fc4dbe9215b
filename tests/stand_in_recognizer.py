"""A stand-in for the speech model, so that it is known what each window held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.errors import ResourceExhausted
from shared.media.audio import Audio
from shared.media.packing import Phrase
from shared.media.recognizer import Heard, Sound, Tongue
from shared.media.spoken import Spoken
from shared.media.vad import VoiceDetector
from shared.media.voice import Voice
from shared.media.words import Word

RATE = 16_000


def level_file(value: float, seconds: float = 4.0, language: str | None = "en", task: str = "transcribe") -> Spoken:
    """A file whose every sample is its level: what the stand-in hears there is the level's word."""
    samples = np.full(round(seconds * RATE), value, np.float32)
    phrases = deque(
        Phrase(round(at * RATE), round(min(at + 4.0, seconds) * RATE)) for at in np.arange(0.0, seconds, 4.0)
    )
    voice = Voice(Audio(samples), VoiceDetector(None))
    return Spoken(voice, task, language, 1.0 if language else 0.0, phrases, len(samples))


@dataclass
class StandIn:
    """A recognizer that hears a word each second: the samples' level in hundredths, and a number like no other's."""

    name: str = "stand-in"
    heard: list[list[list[str]]] = field(default_factory=list)
    tongues: list[Tongue] = field(default_factory=list)
    again: int = 0
    #: What is passed over the first time.
    missed: str = ""
    #: Called with each batch before it is heard; may raise or wait.
    before: Callable[[Sequence[Sound]], None] = lambda sounds: None
    #: Called with what is to be heard again; may raise.
    before_again: Callable[[Sound], None] = lambda sound: None
    fits: int = 99
    doubtful: str = ""
    #: What is no speech to it the first time, and the second time.
    no_speech: str = ""
    no_speech_again: str = ""
    asked: list[str] = field(default_factory=list)

    def recognizer(self) -> StandIn:
        return self

    def language(self, samples: np.ndarray) -> tuple[str, float]:
        self.asked.append(self._word(samples))
        return ("de" if samples[0] > 0.7 else "fr"), 0.9

    def hear(self, sounds: Sequence[Sound], tongue: Tongue) -> list[Heard]:
        self.before(sounds)
        if len(sounds) > self.fits:
            raise ResourceExhausted("CUDA failed with error out of memory")
        found = [self._heard(sound, self.missed, self.no_speech) for sound in sounds]
        self.heard.append([[level(word) for word in each.words] for each in found])
        self.tongues.append(tongue)
        return found

    def hear_again(self, sound: Sound, tongue: Tongue) -> list[Heard]:
        self.again += 1
        self.before_again(sound)
        return [self._heard(sound, no_speech=self.no_speech_again)]

    def _heard(self, sound: Sound, missed: str = "", no_speech: str = "") -> Heard:
        words, at = [], 0
        while at < sound.length:
            if not sound.samples[at]:
                at += int(np.flatnonzero(sound.samples[at:])[0])
            name = self._word(sound.samples[at : at + RATE])
            if name != f" {missed}":
                words.append(Word(f"{name}:{at * 7919 % 99991}", at / RATE + 0.1, at / RATE + 0.9, 1.0))
            at += RATE
        levels = {level(word) for word in words}
        if no_speech in levels:
            return Heard(tuple(words), -0.9, 0.85)
        return Heard(tuple(words), -2.0 if self.doubtful in levels else -0.1, 0.0)

    @staticmethod
    def _word(samples: np.ndarray) -> str:
        return f" {round(float(samples[len(samples) // 2]) * 100)}"


def level(word: Word) -> str:
    return word.text.strip().partition(":")[0]
