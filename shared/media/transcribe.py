"""Speech to text: transcript.json, .txt, .srt and .vtt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from shared.errors import ProcessingFailed, ResourceExhausted
from shared.media import subtitles
from shared.media.artifacts import ArtifactFolder
from shared.media.audio import Audio
from shared.media.model import SpeechModel
from shared.media.subtitles import Word
from shared.operations import Transcribe

_BEAM_SIZE: Final = 5
#: Below this peak there is nothing but the noise of a recorder: -66 dB.
_SILENCE_PEAK: Final = 5e-4
#: Quiet speech is brought up to this peak, which the voice detector needs and Whisper does not mind.
_SPEECH_PEAK: Final = 0.5
_VAD: Final = {"min_silence_duration_ms": 1000, "speech_pad_ms": 400}
#: Words that the model hears in noise: it doubts that there is speech, and what is said.
_NO_SPEECH: Final = 0.8
_DOUBTFUL: Final = -0.8
_ROUND: Final = 3


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A stretch of speech, in seconds from the start of the file."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said."""

    language: str
    language_probability: float
    task: str
    model: str
    duration_s: float
    segments: tuple[TranscriptSegment, ...]

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return " ".join(segment.text for segment in self.segments)


def check_language(operation: Transcribe, model: WhisperModel) -> None:
    """Raise ProcessingFailed (`language_unsupported`) for what this model cannot do, before any work is done."""
    if not model.model.is_multilingual:
        if operation.task == "translate":
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
    audio: Audio, operation: Transcribe, speech_model: SpeechModel, progress: Callable[[float], None]
) -> Transcript:
    """Find the words; `progress` is called for each segment with the fraction done, and may raise to stop.

    Raises ResourceExhausted when memory or GPU memory runs out, ProcessingFailed when the model gives up.
    """
    model = speech_model.get()
    check_language(operation, model)
    peak = float(np.abs(audio.samples).max(initial=0.0))
    if peak < _SILENCE_PEAK:
        language = operation.language or "en"
        return Transcript(language, 0.0, operation.task, speech_model.name, audio.seconds, ())
    gain = max(_SPEECH_PEAK / peak, 1.0)
    found: list[TranscriptSegment] = []
    stream, info = _translated(
        lambda: model.transcribe(
            audio.samples * np.float32(gain) if gain > 1.0 else audio.samples,
            language=operation.language if model.model.is_multilingual else "en",
            task=operation.task,
            beam_size=_BEAM_SIZE,
            word_timestamps=True,
            vad_filter=True,
            vad_parameters=_VAD,
            condition_on_previous_text=False,  # one misheard sentence would repeat itself to the end of the file
        )
    )
    segments = iter(stream)
    while (segment := _translated(lambda: next(segments, None))) is not None:
        if kept := _segment(segment, audio.seconds):
            found.append(kept)
        progress(segment.end / audio.seconds)
    probability = round(float(info.language_probability), _ROUND)
    return Transcript(info.language, probability, operation.task, speech_model.name, audio.seconds, tuple(found))


def write(transcript: Transcript, operation: Transcribe, folder: ArtifactFolder) -> dict[str, Any]:
    """Write the four files; answers the summary."""
    words = [word for segment in transcript.segments for word in segment.words]
    cues = subtitles.cut(words, operation.words_per_line)
    document = _document(transcript)
    folder.write_json("transcript.json", document)
    text = "\n".join(segment.text for segment in transcript.segments)
    folder.write_text("transcript.txt", text + "\n" if text else "", "text/plain; charset=utf-8")
    folder.write_text("transcript.srt", subtitles.srt(cues), "application/x-subrip; charset=utf-8")
    folder.write_text("transcript.vtt", subtitles.webvtt(cues), "text/vtt; charset=utf-8")
    return {**document, "segments": len(transcript.segments), "words": len(words)}


def _segment(segment: Segment, limit: float) -> TranscriptSegment | None:
    text = segment.text.strip()
    if not text or (segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _DOUBTFUL):
        return None
    start, end = _within(segment.start, segment.end, limit)
    words = tuple(
        Word(
            word.word, *_within(word.start, word.end, limit), round(float(word.probability), _ROUND), opens=number == 0
        )
        for number, word in enumerate(segment.words or ())
    )
    return TranscriptSegment(start, end, text, words or _spread(text, start, end))


def _spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """Words at even distances, for a segment whose words the model could not place."""
    words = text.split()
    step = (end - start) / len(words)
    return tuple(
        Word(f" {word}", round(start + n * step, _ROUND), round(start + (n + 1) * step, _ROUND), 0.0, opens=n == 0)
        for n, word in enumerate(words)
    )


def _within(start: float, end: float, limit: float) -> tuple[float, float]:
    """Times as plain numbers inside the file, start not after end."""
    begin = min(max(float(start), 0.0), limit)
    return round(begin, _ROUND), round(min(max(float(end), begin), limit), _ROUND)


def _translated(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except MemoryError as error:
        raise ResourceExhausted("the speech model ran out of memory") from error
    except RuntimeError as error:  # the only class CTranslate2 raises
        if "out of memory" in str(error).lower() or "failed to allocate" in str(error).lower():
            raise ResourceExhausted(f"the speech model ran out of memory: {error}") from error
        raise ProcessingFailed(f"the speech model failed: {error}", code="model_failed") from error


def _document(transcript: Transcript) -> dict[str, Any]:
    def rows(words: Iterable[Word]) -> list[dict[str, Any]]:
        return [{"word": w.text.strip(), "start": w.start, "end": w.end, "probability": w.probability} for w in words]

    return {
        "text": transcript.text,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "task": transcript.task,
        "model": transcript.model,
        "duration_s": round(transcript.duration_s, _ROUND),
        "segments": [
            {"start": s.start, "end": s.end, "text": s.text, "words": rows(s.words)} for s in transcript.segments
        ],
    }
