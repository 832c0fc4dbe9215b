"""The speech model at work on windows of sound: several at once, or one again with more patience."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from ctranslate2 import StorageView
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations
from numpy.typing import NDArray

from shared.errors import MachineFault, ProcessingFailed, ResourceExhausted
from shared.media.packing import WINDOW
from shared.media.words import Word

if TYPE_CHECKING:
    from shared.media.log_mel import LogMel

BEAM_SIZE: Final = 5
#: Samples between two frames.
_HOP: Final = 160
#: Punctuation that is part of the word after it, and of the word before it.
_OPENING, _CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
_MEMORY_WORDS: Final = ("out of memory", "failed to allocate", "alloc_failed")
_GPU_WORDS: Final = ("cuda", "cublas", "cudnn")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tongue:
    """What the model is told: which language is spoken, and whether to put it into English."""

    language: str
    task: str


@dataclass(frozen=True, slots=True)
class Sound:
    """One window for the model."""

    #: [WINDOW] in [-1, 1], with silence at the end.
    samples: NDArray[np.float32]
    #: How many of them come before that silence.
    length: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What the model made of a window, or of a part of it; times in seconds from the window's start."""

    words: tuple[Word, ...]
    #: Mean of the tokens'.
    log_probability: float
    #: How probable it is that nothing was said.
    no_speech: float


class Recognizer:
    """A loaded Whisper model; for one thread at a time."""

    def __init__(self, model: WhisperModel) -> None:
        self._model = model
        self._is_cpu = model.model.device == "cpu"
        self._tokenizers: dict[Tongue, Tokenizer] = {}

    def language(self, samples: NDArray[np.float32]) -> tuple[str, float]:
        """The language spoken in up to 30 s of speech, and its probability. Raises as `hear`.

        It takes a window of its own: in a shorter one, or beside other files, the model mistakes more languages.
        """
        if not self._model.model.is_multilingual:
            return "en", 1.0
        window = np.zeros((1, WINDOW), np.float32)
        window[0, : len(samples)] = samples[:WINDOW]
        found = _translated(lambda: self._model.model.detect_language(self._encoded(window)[0]))
        token, probability = found[0][0]
        return token.strip("<|>"), float(probability)

    def hear(self, sounds: Sequence[Sound], tongue: Tongue) -> list[Heard]:
        """Recognise several windows at once.

        Raises ResourceExhausted when memory or GPU memory runs out, MachineFault when the GPU fails otherwise,
        ProcessingFailed when the model gives up.
        """
        return _translated(lambda: self._hear(sounds, self._tokenizer(tongue)))

    def hear_again(self, sound: Sound, tongue: Tongue) -> list[Heard]:
        """One window by itself, as faster-whisper does it: sentence by sentence, guesses again at other temperatures.

        Raises as `hear`.
        """

        def again() -> list[Heard]:
            segments, _ = self._model.transcribe(
                sound.samples[: sound.length],
                language=tongue.language,
                task=tongue.task,
                beam_size=BEAM_SIZE,
                condition_on_previous_text=False,
                word_timestamps=True,
            )
            return [
                Heard(tuple(_word(word.__dict__) for word in each.words or ()), each.avg_logprob, each.no_speech_prob)
                for each in segments
            ]

        return _translated(again)

    def _hear(self, sounds: Sequence[Sound], tokenizer: Tokenizer) -> list[Heard]:
        encoded = self._encoded(np.stack([sound.samples for sound in sounds]))
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        results = self._model.model.generate(
            _joined(encoded),
            [prompt] * len(sounds),
            beam_size=BEAM_SIZE,
            max_length=self._model.max_length,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = [result.sequences_ids[0] for result in results]
        words = self._words(encoded, tokens, [sound.length // _HOP for sound in sounds], tokenizer)
        return [
            Heard(said, result.scores[0] * len(ids) / (len(ids) + 1), result.no_speech_prob)
            for said, ids, result in zip(words, tokens, results, strict=True)
        ]

    def _encoded(self, samples: NDArray[np.float32]) -> list[StorageView]:
        """In as many parts as are best: a GPU does all at once, a CPU's caches hold one."""
        encode = self._model.model.encode
        if not self._is_cpu:
            return [encode(StorageView.from_array(self._log_mel(samples)))]
        parts = np.split(samples, len(samples))
        return [encode(StorageView.from_array(self._log_mel(part).numpy())) for part in parts]

    def _words(
        self, encoded: list[StorageView], tokens: list[list[int]], frames: list[int], tokenizer: Tokenizer
    ) -> list[tuple[Word, ...]]:
        """Where the words are, from the decoder's attention to the sound."""
        size = len(tokens) // len(encoded)
        found: list[tuple[Word, ...]] = []
        for number, part in enumerate(encoded):
            mine = slice(number * size, (number + 1) * size)
            ids = [[token for token in each if token < tokenizer.eot] for each in tokens[mine]]
            if not any(ids):
                found += [()] * size
                continue
            for words in self._model.find_alignment(tokenizer, ids, part, frames[mine]):
                merge_punctuations(words, _OPENING, _CLOSING)
                found.append(tuple(_word(word) for word in words if word["word"].strip()))
        return found

    def _tokenizer(self, tongue: Tongue) -> Tokenizer:
        if tongue not in self._tokenizers:
            model = self._model
            self._tokenizers[tongue] = Tokenizer(
                model.hf_tokenizer, model.model.is_multilingual, task=tongue.task, language=tongue.language
            )
        return self._tokenizers[tongue]

    @cached_property
    def _log_mel(self) -> LogMel:
        from shared.media.log_mel import LogMel  # torch takes most of a second to import

        return LogMel(self._model.feature_extractor.mel_filters, self._model.model.device)


def _word(found: dict[str, Any]) -> Word:
    return Word(found["word"], float(found["start"]), float(found["end"]), float(found["probability"]))


def _joined(parts: list[StorageView]) -> StorageView:
    return parts[0] if len(parts) == 1 else StorageView.from_array(np.concatenate([np.array(part) for part in parts]))


def _translated(step: Callable[[], T]) -> T:
    try:
        return step()
    except MemoryError as error:
        raise ResourceExhausted("the speech model ran out of memory") from error
    except RuntimeError as error:  # the only other class that CTranslate2 raises, and torch's
        if any(words in str(error).lower() for words in _MEMORY_WORDS):
            raise ResourceExhausted(f"the speech model ran out of memory: {error}") from error
        if any(words in str(error).lower() for words in _GPU_WORDS):
            raise MachineFault(f"the GPU failed: {error}") from error
        raise ProcessingFailed(f"the speech model failed: {error}", code="model_failed") from error
