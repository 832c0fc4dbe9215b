"""Speech to text, in its own language or in English: transcript.json, .txt, .srt and .vtt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from faster_whisper import WhisperModel

from shared.errors import ProcessingFailed
from shared.media import subtitles
from shared.media.artifacts import ArtifactFolder
from shared.media.speech_batches import SpeechBatches
from shared.media.spoken import Spoken
from shared.media.voice import Voice
from shared.media.words import Segment, Word, segments
from shared.operations import SpeechToText, Translate

_ROUND: Final = 3


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said."""

    language: str
    language_probability: float
    task: str
    model: str
    duration_s: float
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return " ".join(segment.text for segment in self.segments)


def check_language(operation: SpeechToText, model: WhisperModel) -> None:
    """Raise ProcessingFailed (`language_unsupported`) for what this model cannot do, before any work is done."""
    if not model.model.is_multilingual:
        if isinstance(operation, Translate):
            raise ProcessingFailed("this model knows English only and cannot translate", code="language_unsupported")
        if operation.language not in (None, "en"):
            raise ProcessingFailed(
                f"this model knows English only, not {operation.language!r}", code="language_unsupported"
            )
    elif operation.language is not None and operation.language not in model.supported_languages:
        known = ", ".join(sorted(model.supported_languages))
        raise ProcessingFailed(
            f"this model does not know the language {operation.language!r}; it knows {known}",
            code="language_unsupported",
        )


def transcribe(
    voice: Voice, operation: SpeechToText, batches: SpeechBatches, progress: Callable[[float], None]
) -> Transcript:
    """Find the words, together with those of the other files under way; `progress` may raise to stop.

    Raises ResourceExhausted when memory or GPU memory runs out, ProcessingFailed when the model gives up.
    """

    def prepare() -> Spoken:
        return Spoken.of(voice, operation.name, operation.language, lambda fraction: progress(0.0))

    answer = batches.understand(prepare, progress)
    return Transcript(
        language=answer.language,
        language_probability=round(answer.language_probability, _ROUND),
        task=operation.name,
        model=batches.model_name,
        duration_s=round(voice.audio.seconds, _ROUND),
        segments=segments(answer.words),
        warnings=tuple(
            f"{start:.1f} to {end:.1f} s: what the model heard there is made up, and was left out"
            for start, end in answer.left_out
        ),
    )


def write(
    transcript: Transcript, operation: SpeechToText, folder: ArtifactFolder, cuts: Sequence[float] = ()
) -> dict[str, Any]:
    """Write transcript.json, .txt, .srt and .vtt; answers the summary.

    `cuts` are the times at which shots begin, in seconds: no subtitle goes across one.
    """
    words = [word for segment in transcript.segments for word in segment.words]
    cues = subtitles.cut(words, operation.words_per_line, cuts)
    document = _document(transcript)
    folder.write_json("transcript.json", document)
    text = "\n".join(segment.text for segment in transcript.segments)
    folder.write_text("transcript.txt", text + "\n" if text else "", "text/plain; charset=utf-8")
    folder.write_text("transcript.srt", subtitles.srt(cues), "application/x-subrip; charset=utf-8")
    folder.write_text("transcript.vtt", subtitles.webvtt(cues), "text/vtt; charset=utf-8")
    return {**document, "segments": len(transcript.segments), "words": len(words)}


def _document(transcript: Transcript) -> dict[str, Any]:
    def rows(words: Iterable[Word]) -> list[dict[str, Any]]:
        return [{"word": w.text.strip(), "start": w.start, "end": w.end, "probability": w.probability} for w in words]

    return {
        "text": transcript.text,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "task": transcript.task,
        "model": transcript.model,
        "duration_s": transcript.duration_s,
        "segments": [
            {"start": s.start, "end": s.end, "text": s.text, "words": rows(s.words)} for s in transcript.segments
        ],
    }
