"""What a file's headers say that decides how its operations are done."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from shared.media.container import (
    best_audio,
    best_video,
    duration_seconds,
    is_image,
    open_media,
    seconds,
    start_seconds,
)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The best video stream; times in seconds from the start of the file."""

    #: The pixels' own (sample aspect ratio).
    aspect: Fraction | None
    start: float
    lasts: float | None
    #: The longest way from one keyframe to the next; None where no index tells.
    keyframe_gap: float | None

    def span(self, length: float) -> tuple[float, float]:
        """Where the video begins and ends; it may be shorter than the file, whose `length` bounds it."""
        end = min(self.start + self.lasts, length) if self.lasts else length
        return (self.start, end) if self.start < end else (0.0, length)


@dataclass(frozen=True, slots=True)
class Facts:
    is_image: bool
    #: As declared; None when the container says nothing.
    duration: float | None
    #: Of the best audio stream; None when there is none.
    sample_rate: int | None
    #: None when there is no video.
    video: VideoFacts | None


def look(source: Path) -> Facts:
    """Read the headers. Raises as `open_media`."""
    with open_media(source) as container:
        sound, pictures = best_audio(container), best_video(container)
        return Facts(
            is_image=is_image(container),
            duration=duration_seconds(container),
            sample_rate=sound.sample_rate if sound is not None else None,
            video=_video(container, pictures) if pictures is not None else None,
        )


def _video(container: InputContainer, stream: VideoStream) -> VideoFacts:
    start = (seconds(stream.start_time, stream.time_base) or start_seconds(container)) - start_seconds(container)
    return VideoFacts(
        aspect=stream.sample_aspect_ratio,
        start=max(start, 0.0),
        lasts=seconds(stream.duration, stream.time_base),
        keyframe_gap=_keyframe_gap(stream),
    )


def _keyframe_gap(stream: VideoStream) -> float | None:
    times = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    if len(times) < 2 or stream.time_base is None:
        return None
    lasts = [stream.duration - times[-1]] if stream.duration else []
    return float(max([after - before for before, after in pairwise(times)] + lasts) * stream.time_base)
