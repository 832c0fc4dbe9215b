"""A file's sound as Whisper wants it: 16 kHz, mono, on the file's own timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from shared.media.media_file import MediaFile
from shared.media.one_pass import decode_once
from shared.media.resampling import Resampled, samples
from shared.source import Source

SAMPLE_RATE: Final = 16_000
_FULL_SCALE: Final = 32768.0


Samples = NDArray[np.float32] | NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded sound; sample n stands n / SAMPLE_RATE seconds after the start of the file."""

    #: In [-1, 1], or 16-bit integers as they lie on a disk: half the memory, or none when they are mapped.
    samples: Samples
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length, from the start of the file to the last sample."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def scale(self) -> float:
        """What a sample is to be multiplied by to lie in [-1, 1]."""
        return 1 / _FULL_SCALE if self.samples.dtype == np.int16 else 1.0


class Recording(Resampled):
    """An audio sink that keeps all it hears: 32 kB for a second."""

    def __init__(self) -> None:
        # Not `flt`: swresample does not normalise a float down-mix, stereo would come out 3 dB too loud.
        super().__init__("s16", "mono", SAMPLE_RATE, self._keep)
        self._pcm = bytearray()

    def _keep(self, frame: AudioFrame) -> None:
        self._pcm += samples(frame).tobytes()

    def audio(self) -> Audio:
        """What was heard; the recording is empty afterwards."""
        heard, self._pcm = np.frombuffer(self._pcm, dtype=np.int16).astype(np.float32), bytearray()
        heard /= _FULL_SCALE
        return Audio(heard)


def decode_audio(source: Source, progress: Callable[[float], None]) -> Audio:
    """Decode the best audio stream; `progress` gets the fraction done.

    Raises ProcessingFailed (`no_audio_stream`, or `undecodable` when more than a little of the sound is lost).
    """
    recording = Recording()
    with MediaFile(source) as media:
        warnings = decode_once(media, {None: [recording]}, {}, progress)
    return Audio(recording.audio().samples, warnings)
