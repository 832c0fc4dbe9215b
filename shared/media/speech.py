"""Where there is speech, and where there is none: speech.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

from shared.media.artifacts import ArtifactFolder
from shared.media.vad_spans import Span, SpeechRules
from shared.media.voice import Voice
from shared.operations import Speech

_ROUND: Final = 3


def write(
    voice: Voice, silences: Sequence[Span], operation: Speech, folder: ArtifactFolder, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Find the speech and write the file; answers the summary. Raises as `VoiceDetector.probabilities`."""
    rules = SpeechRules(
        threshold=operation.threshold,
        min_speech=operation.speech_seconds,
        min_silence=operation.pause_seconds,
        pad=operation.pad_seconds,
    )
    length = voice.audio.seconds
    segments = voice.spans(rules, progress)
    pauses = [each for each in _between(segments, length) if each.end - each.start >= operation.silence_seconds]
    spoken = sum(segment.end - segment.start for segment in segments)
    facts = {
        "duration_s": round(length, _ROUND),
        "speech_s": round(spoken, _ROUND),
        "speech_ratio": round(spoken / length, _ROUND) if length else 0.0,
    }
    lists = {"segments": _rows(segments), "pauses": _rows(pauses), "silences": _rows(silences)}
    folder.write_json("speech.json", facts | lists)
    return facts | {name: len(rows) for name, rows in lists.items()}


def _between(segments: list[Span], length: float) -> list[Span]:
    whole = [Span(0.0, 0.0), *segments, Span(length, length)]
    return [Span(one.end, following.start) for one, following in pairwise(whole)]


def _rows(spans: Iterable[Span]) -> list[dict[str, float]]:
    return [
        {
            "start": round(span.start, _ROUND),
            "end": round(span.end, _ROUND),
            "duration": round(span.end - span.start, _ROUND),
        }
        for span in spans
    ]
