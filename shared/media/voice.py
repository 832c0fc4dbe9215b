"""A file's sound and where there is speech in it: found once, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.media.audio import Audio
from shared.media.vad import VoiceDetector
from shared.media.vad_spans import Span, SpeechRules, speech_spans

#: Below this peak there is nothing but the noise of a recorder: -66 dB.
_NOISE_PEAK: Final = 5e-4
#: Quiet speech is brought up to this peak, which the detector needs and Whisper does not mind.
_SPEECH_PEAK: Final = 0.5


class Voice:
    """One file's speech; for one thread."""

    def __init__(self, audio: Audio, detector: VoiceDetector) -> None:
        self.audio = audio
        self._detector = detector
        self._probabilities: NDArray[np.float32] | None = None

    @cached_property
    def peak(self) -> float:
        """The greatest absolute sample, of 1."""
        samples = self.audio.samples
        return max(float(samples.max(initial=0)), -float(samples.min(initial=0))) * self.audio.scale

    @property
    def is_silent(self) -> bool:
        """Whether there is no more than a recorder's own noise."""
        return self.peak < _NOISE_PEAK

    @property
    def gain(self) -> float:
        """What quiet sound is to be multiplied by to be understood; 1 for any other."""
        return 1.0 if self.is_silent else max(_SPEECH_PEAK / self.peak, 1.0)

    def probabilities(self, progress: Callable[[float], None] | None = None) -> NDArray[np.float32]:
        """Those of `VoiceDetector.probabilities`, which is asked once and raises; none for silence, unasked."""
        if self._probabilities is None:
            if self.is_silent:
                self._probabilities = np.empty(0, np.float32)
            else:
                self._probabilities = self._detector.probabilities(
                    self.audio.samples, self.gain * self.audio.scale, progress
                )
        return self._probabilities

    def spans(self, rules: SpeechRules, progress: Callable[[float], None] | None = None) -> list[Span]:
        """Where the speech is, in seconds from the start of the file. Raises as `VoiceDetector.probabilities`."""
        return speech_spans(self.probabilities(progress), rules, self.audio.seconds)
