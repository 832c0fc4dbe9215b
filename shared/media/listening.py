"""The operations for which models listen; the models stay in this process, for all jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from shared.media import speech, transcribe
from shared.media.artifacts import ArtifactFolder
from shared.media.messages import Handed
from shared.media.model import SpeechModel
from shared.media.sound_file import read_sound
from shared.media.speech_batches import SpeechBatches
from shared.media.vad import VoiceDetector
from shared.media.vad_spans import Span
from shared.media.voice import Voice
from shared.operations import Operation, Speech, SpeechToText

#: What listening took for a second of sound where it was measured first, on two cores; a GPU is that much faster.
_USUAL_SECONDS: Final = {"speech": 0.001, "transcribe": 0.06, "translate": 0.06}
_GPU_FASTER: Final = 6.0
_TELLING_SECONDS: Final = 10.0


class Listening:
    """One for a process, shared by its threads; the models are loaded when first needed."""

    def __init__(self, model: str | Path, weights: Path | None, *, device: str, compute_type: str) -> None:
        """`model` is a folder with a Whisper model in CTranslate2's format, `weights` one with the small models'."""
        self.model = SpeechModel(model, device=device, compute_type=compute_type)
        self._batches = SpeechBatches(self.model, self.model.windows_at_once)
        self._detector = VoiceDetector(weights)
        #: Of the last file long enough to tell, by operation.
        self._took: dict[str, float] = {}

    def check(self, operations: Iterable[Operation]) -> None:
        """Raise ProcessingFailed for what the model cannot do, Unavailable when it cannot be loaded."""
        for operation in operations:
            if isinstance(operation, SpeechToText):
                transcribe.check_language(operation, self.model.get())

    def voice(self, scratch: Path, stream: int | None) -> Voice:
        """The sound of a stream that a child left in this folder."""
        return Voice(read_sound(scratch, stream), self._detector)

    def finish(
        self,
        operation: Speech | SpeechToText,
        voice: Voice,
        handed: Handed,
        folder: ArtifactFolder,
        progress: Callable[[float], None],
    ) -> tuple[dict[str, Any], list[str]]:
        """Listen, and write the artifacts; answers the summary and warnings."""
        begun = time.monotonic()
        if isinstance(operation, Speech):
            silences = [Span(start, end) for start, end in handed.silences]
            made: tuple[dict[str, Any], list[str]] = speech.write(voice, silences, operation, folder, progress), []
        else:
            transcript = transcribe.transcribe(voice, operation, self._batches, progress)
            made = transcribe.write(transcript, operation, folder, handed.cuts), list(transcript.warnings)
        if voice.audio.seconds >= _TELLING_SECONDS:
            self._took[operation.name] = (time.monotonic() - begun) / voice.audio.seconds
        return made

    def likely_seconds(self, operation: Speech | SpeechToText, length: float) -> float:
        """How long listening to so many seconds will take: as long as it last took."""
        faster = _GPU_FASTER if self.model.device == "cuda" else 1.0
        return length * self._took.get(operation.name, _USUAL_SECONDS[operation.name] / faster)
