"""Our voice detector against Silero's own TorchScript and its own rules."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from silero_vad.utils_vad import get_speech_timestamps, get_speech_timestamps_from_probs

from local.assets import Assets
from shared.errors import Misconfigured, Unavailable
from shared.media.audio import Audio, decode_audio
from shared.media.vad import VoiceDetector
from shared.media.vad_spans import SpeechRules, speech_spans
from shared.media.voice import Voice

RATE = 16_000
WINDOW = 512


@pytest.fixture(scope="module")
def samples(assets: Assets) -> NDArray[np.float32]:
    """A minute and a half: more than the detector takes at once, and no whole number of windows."""
    spoken = decode_audio(assets.speech, lambda fraction: None).samples
    noise = np.random.default_rng(1).normal(0, 0.01, len(spoken)).astype(np.float32)
    return np.concatenate([spoken, spoken[::-1] + noise, spoken[:100]])


@pytest.fixture(scope="module")
def detector(assets: Assets) -> VoiceDetector:
    return VoiceDetector(assets.weights)


@pytest.fixture(scope="module")
def script(assets: Assets) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(assets.weights / "silero_vad.jit")


def by_the_script(script: torch.jit.ScriptModule, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    script.reset_states()
    whole = np.pad(samples, (0, -len(samples) % WINDOW))
    with torch.inference_mode():
        return np.array([script(torch.from_numpy(each), RATE).item() for each in whole.reshape(-1, WINDOW)], np.float32)


def test_probabilities_are_those_of_the_script(
    detector: VoiceDetector, script: torch.jit.ScriptModule, samples: NDArray[np.float32]
) -> None:
    ours, theirs = detector.probabilities(samples), by_the_script(script, samples)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5
    assert np.array_equal(ours >= 0.5, theirs >= 0.5)
    assert 0.2 < (ours >= 0.5).mean() < 0.9


def test_spans_are_those_of_the_script(
    detector: VoiceDetector, script: torch.jit.ScriptModule, samples: NDArray[np.float32]
) -> None:
    theirs = get_speech_timestamps(torch.from_numpy(samples), script, max_speech_duration_s=5)
    rules = SpeechRules(max_speech=5)
    assert in_samples(detector.probabilities(samples), rules, len(samples)) == pairs(theirs)


@pytest.mark.parametrize("seed", range(20))
def test_rules_are_those_of_silero(seed: int) -> None:
    chance = np.random.default_rng(seed)
    for _ in range(20):
        runs = chance.random(60).repeat(chance.integers(1, 12, 60)) + chance.normal(0, 0.1, 1)
        probabilities = np.clip(runs, 0, 1).astype(np.float32)
        length = len(probabilities) * WINDOW - int(chance.integers(0, WINDOW))
        threshold, speech = float(chance.choice([0.1, 0.3, 0.5, 0.8])), int(chance.choice([64, 250, 1000]))
        pause, pad = int(chance.choice([32, 100, 500, 2000])), float(chance.choice([0, 30, 33.3, 100, 400]))
        longest = float(chance.choice([1.5, 3, 10, math.inf]))
        theirs = get_speech_timestamps_from_probs(
            probabilities.tolist(),
            threshold=threshold,
            min_speech_duration_ms=speech,
            max_speech_duration_s=longest,
            min_silence_duration_ms=pause,
            speech_pad_ms=pad,
            audio_length_samples=length,
        )
        rules = SpeechRules(threshold, speech / 1000, pause / 1000, pad / 1000, longest)
        assert in_samples(probabilities, rules, length) == pairs(theirs)


def test_long_speech_is_split_at_its_longest_pause() -> None:
    probabilities = np.ones(1000, np.float32)
    probabilities[300:310] = probabilities[500:520] = probabilities[800:805] = 0
    spans = speech_spans(probabilities, SpeechRules(min_silence=1.0, pad=0.0, max_speech=30.0), 32.0)
    assert [(span.start, span.end) for span in spans] == [(0.0, 16.0), (16.64, 32.0)]


def test_speech_without_a_pause_is_split_where_it_gets_too_long() -> None:
    spans = speech_spans(np.ones(1000, np.float32), SpeechRules(max_speech=10.0), 32.0)
    assert len(spans) == 4
    assert all(9.9 < span.end - span.start <= 10.0 for span in spans[:3])


def test_gain_is_that_of_louder_samples(detector: VoiceDetector, samples: NDArray[np.float32]) -> None:
    quiet = samples / np.float32(64)
    assert np.abs(detector.probabilities(quiet, 64.0) - detector.probabilities(samples)).max() < 1e-6


def test_threads_share_one_detector(assets: Assets, samples: NDArray[np.float32]) -> None:
    shared = VoiceDetector(assets.weights)
    alone = shared.probabilities(samples[: 20 * RATE])
    with ThreadPoolExecutor(3) as pool:
        for together in pool.map(shared.probabilities, [samples[: 20 * RATE]] * 6):
            assert np.array_equal(together, alone)


@pytest.mark.parametrize(("count", "windows"), [(0, 0), (1, 1), (512, 1), (513, 2)])
def test_each_window_begun_has_a_probability(count: int, windows: int, detector: VoiceDetector) -> None:
    assert detector.probabilities(np.zeros(count, np.float32)).shape == (windows,)


def test_work_ends_with_what_progress_raises(detector: VoiceDetector, samples: NDArray[np.float32]) -> None:
    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        detector.probabilities(samples, progress=stop)
    assert 0 < told[0] < 1


def test_missing_weights_are_told_by_the_setting_that_names_them(tmp_path: Path) -> None:
    for weights in (None, tmp_path):
        with pytest.raises(Misconfigured, match="WEIGHTS"):
            VoiceDetector(weights).probabilities(np.zeros(1, np.float32))


def test_broken_weights_are_told(tmp_path: Path) -> None:
    (tmp_path / "silero_vad.jit").write_bytes(b"no zip file")
    with pytest.raises(Unavailable, match="voice detector"):
        VoiceDetector(tmp_path).probabilities(np.zeros(1, np.float32))


class Counted(VoiceDetector):
    calls = 0

    def probabilities(
        self, samples: NDArray[np.float32], gain: float = 1.0, progress: Callable[[float], None] | None = None
    ) -> NDArray[np.float32]:
        self.calls += 1
        return super().probabilities(samples, gain, progress)


def test_a_file_is_listened_to_once_whoever_asks(assets: Assets, samples: NDArray[np.float32]) -> None:
    counted = Counted(assets.weights)
    voice = Voice(Audio(samples), counted)
    assert voice.spans(SpeechRules()) != voice.spans(SpeechRules(min_silence=2.0))
    assert counted.calls == 1


def test_silence_is_not_listened_to(samples: NDArray[np.float32]) -> None:
    nobody = VoiceDetector(None)
    assert Voice(Audio(samples * np.float32(1e-4)), nobody).spans(SpeechRules()) == []
    assert Voice(Audio(np.empty(0, np.float32)), nobody).spans(SpeechRules()) == []


def in_samples(probabilities: NDArray[np.float32], rules: SpeechRules, length: int) -> list[tuple[int, int]]:
    spans = speech_spans(probabilities, rules, length / RATE)
    return [(round(span.start * RATE), round(span.end * RATE)) for span in spans]


def pairs(theirs: list[dict[str, int]]) -> list[tuple[int, int]]:
    return [(each["start"], each["end"]) for each in theirs]
