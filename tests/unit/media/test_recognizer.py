"""The engine with the real model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from local.assets import Assets
from shared.errors import MachineFault, ProcessingFailed, ResourceExhausted
from shared.media.audio import Audio, decode_audio
from shared.media.recognizer import Recognizer
from shared.media.speech_batches import SpeechBatches
from shared.media.spoken import Spoken
from shared.media.vad import VoiceDetector
from shared.media.voice import Voice


def _nothing(fraction: float) -> None:
    pass


class Small:
    """The real model with little memory: above a number of windows it raises what CTranslate2 raises."""

    def __init__(self, model: Any, fits: int, message: str) -> None:
        self._model, self._fits, self._message = model, fits, message
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, features: Any, prompts: Sequence[Any], **options: Any) -> Any:
        if len(prompts) > self._fits:
            raise RuntimeError(self._message)
        self.batches.append(len(prompts))
        return self._model.generate(features, prompts, **options)


@dataclass
class Loaded:
    """A model that is there already."""

    model: WhisperModel
    name: str = "tiny.en"

    def recognizer(self) -> Recognizer:
        return Recognizer(self.model)


@pytest.fixture
def whisper(assets: Assets) -> WhisperModel:
    return WhisperModel(str(assets.model), device="cpu", compute_type="int8", cpu_threads=2)


@pytest.fixture
def voice(assets: Assets, speech: Path) -> Voice:
    return Voice(decode_audio(speech, _nothing), VoiceDetector(assets.weights))


def test_sound_as_integers_is_the_same_sound(voice: Voice, assets: Assets) -> None:
    integers = Voice(Audio((voice.audio.samples * 32768).astype(np.int16)), VoiceDetector(assets.weights))
    one, other = (Spoken.of(each, "transcribe", "en", _nothing) for each in (voice, integers))
    assert one.waiting == other.waiting
    assert np.array_equal(one.beginning(), other.beginning())
    assert integers.gain == voice.gain


@pytest.mark.parametrize(
    "message", ["CUDA failed with error out of memory", "cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_memory_that_the_real_model_lacks_halves_the_batch(message: str, whisper: WhisperModel, voice: Voice) -> None:
    whisper.model = small = Small(whisper.model, 1, message)
    answer = SpeechBatches(Loaded(whisper)).understand(lambda: Spoken.of(voice, "transcribe", "en", _nothing), _nothing)
    assert small.batches == [1, 1]
    assert len(answer.words) > 100
    whisper.model = Small(whisper.model, 0, message)
    with pytest.raises(ResourceExhausted, match="ran out of memory"):
        SpeechBatches(Loaded(whisper)).understand(lambda: Spoken.of(voice, "transcribe", "en", _nothing), _nothing)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("CUDA failed with error an illegal memory access was encountered", MachineFault),
        ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", MachineFault),
        ("cuDNN failed with status CUDNN_STATUS_EXECUTION_FAILED", MachineFault),
        ("no position encodings are defined for positions >= 448", ProcessingFailed),
    ],
)
def test_a_sick_gpu_is_no_fault_of_the_file(
    message: str, error: type[Exception], whisper: WhisperModel, voice: Voice
) -> None:
    whisper.model = Small(whisper.model, 0, message)
    with pytest.raises(error, match=message):
        SpeechBatches(Loaded(whisper)).understand(lambda: Spoken.of(voice, "transcribe", "en", _nothing), _nothing)
