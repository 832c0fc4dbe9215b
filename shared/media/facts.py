"""What a file's headers say that decides how its operations are done."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final, TypeVar

from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from shared.media.container import (
    best_audio,
    best_video,
    duration_seconds,
    is_image,
    seconds,
    start_seconds,
)
from shared.media.media_file import MediaFile

_Fact = TypeVar("_Fact")

_USUAL_RATE: Final = 25


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The best video stream; times in seconds from the start of the file."""

    #: The pixels' own (sample aspect ratio).
    aspect: Fraction | None
    #: Pixels for each second.
    pixel_rate: float
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
    #: Of the best video stream; None when there is none.
    video: VideoFacts | None
    #: Of all streams, by their numbers; None for one that nothing here decodes.
    sample_rates: tuple[int | None, ...] = ()
    videos: tuple[VideoFacts | None, ...] = ()

    def sample_rate_of(self, stream: int | None) -> int | None:
        """Of an audio stream, or of the best; None when there is none."""
        if stream is None:
            return self.sample_rate
        return self.sample_rates[stream] if stream < len(self.sample_rates) else None

    def video_of(self, stream: int | None) -> VideoFacts | None:
        """A video stream, or the best; None when there is none."""
        if stream is None:
            return self.video
        return self.videos[stream] if stream < len(self.videos) else None


def look(media: MediaFile) -> Facts:
    """Read the headers."""
    container = media.headers
    sound, pictures = best_audio(container), best_video(container)
    videos = tuple(_video(container, each) if each.codec_context else None for each in container.streams.video)
    return Facts(
        is_image=is_image(container),
        duration=duration_seconds(container),
        sample_rate=sound.sample_rate if sound is not None else None,
        video=videos[container.streams.video.index(pictures)] if pictures is not None else None,
        sample_rates=tuple(each.sample_rate if each.codec_context else None for each in container.streams.audio),
        videos=videos,
    )


def without(facts: Facts, container: InputContainer, empty: AbstractSet[int]) -> Facts:
    """The facts, as if there were no streams of these indexes."""
    if not empty:
        return facts
    sound, pictures = best_audio(container, empty), best_video(container, empty)
    return replace(
        facts,
        sample_rate=None if sound is None else sound.sample_rate,
        video=None if pictures is None else facts.videos[container.streams.video.index(pictures)],
        sample_rates=_kept(facts.sample_rates, container.streams.audio, empty),
        videos=_kept(facts.videos, container.streams.video, empty),
    )


def open_ended(facts: Facts) -> Facts:
    """The facts, as if nothing said how long it lasts: where a clock began anew, that is too little or too much."""
    videos = tuple(video and replace(video, lasts=None) for video in facts.videos)
    return replace(facts, duration=None, video=facts.video and replace(facts.video, lasts=None), videos=videos)


def _kept(
    found: tuple[_Fact | None, ...], streams: Sequence[Stream], empty: AbstractSet[int]
) -> tuple[_Fact | None, ...]:
    return tuple(None if stream.index in empty else fact for fact, stream in zip(found, streams, strict=True))


def _video(container: InputContainer, stream: VideoStream) -> VideoFacts:
    start = (seconds(stream.start_time, stream.time_base) or start_seconds(container)) - start_seconds(container)
    return VideoFacts(
        aspect=stream.sample_aspect_ratio,
        pixel_rate=stream.codec_context.width * stream.codec_context.height * float(stream.average_rate or _USUAL_RATE),
        start=max(start, 0.0),
        lasts=seconds(stream.duration, stream.time_base) or _tagged_seconds(stream),
        keyframe_gap=_keyframe_gap(stream),
    )


def _tagged_seconds(stream: VideoStream) -> float | None:
    """Matroska's own length of a stream, `00:00:02.000000000` (https://www.matroska.org/technical/tagging.html)."""
    tag = next((value for name, value in stream.metadata.items() if name.split("-")[0] == "DURATION"), "")
    try:
        hours, minutes, rest = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)
    except ValueError:
        return None


def _keyframe_gap(stream: VideoStream) -> float | None:
    """Found by hopping from keyframe to keyframe, since a long film's index has a million entries."""
    entries = stream.index_entries
    times: list[int] = []
    at = entries.search_timestamp(entries[0].timestamp, backward=False) if len(entries) else -1
    while at >= 0:
        times.append(entries[at].timestamp)
        at = entries.search_timestamp(times[-1] + 1, backward=False)
    if len(times) < 2 or stream.time_base is None:
        return None
    lasts = [stream.duration - times[-1]] if stream.duration else []
    return float(max([after - before for before, after in pairwise(times)] + lasts) * stream.time_base)
