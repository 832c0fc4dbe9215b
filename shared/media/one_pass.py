"""One decode pass: the file is demuxed once, and each frame goes to the sinks that asked for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from shared.media.clock import PictureClock, StreamClock
from shared.media.container import audio_stream, duration_seconds, start_seconds, video_stream
from shared.media.decoding import Track, decode
from shared.media.feeds import feeds
from shared.media.finite import is_verbatim, silence_nonsense
from shared.media.media_file import MediaFile
from shared.media.resampling import Named
from shared.media.sinks import AudioSink, Watcher
from shared.media.survey import MOST_LAG

#: A hole in the timestamps longer than this (seconds) is filled with silence, so that words keep their times.
_GAP: Final = 0.1
#: Sound whose clock lags behind what was heard by more than a hole is left out until it has caught up, for the same
#: reason; a clock that lags by more than MOST_LAG began anew, and all of its sound is kept.

_Stream = TypeVar("_Stream", AudioStream, VideoStream)
_Sink = TypeVar("_Sink")


#: Sinks by the number of their stream; None for the best.
Hearing = Mapping[int | None, Sequence[AudioSink]]
Seeing = Mapping[int | None, Sequence[Watcher]]


def decode_once(
    media: MediaFile,
    hearing: Hearing,
    seeing: Seeing,
    progress: Callable[[float], None],
    length: float | None = None,
) -> tuple[str, ...]:
    """Feed streams to their sinks; answers warnings.

    A stream without sinks is not decoded. `progress` gets the fraction done at every packet; what it raises ends the
    pass. `length` is the file's real one, in seconds: a file may state none, or too little.

    Raises ProcessingFailed (`no_audio_stream`, `no_video_stream`; `undecodable` when there is no picture at all or more
    than a little of the sound is lost).
    """
    ears = {number: sinks for number, sinks in hearing.items() if sinks}
    eyes = {number: sinks for number, sinks in seeing.items() if sinks}
    container = media.for_all_pictures(eyes.keys()) if eyes else media.from_start()
    # Where clocks follow each other, that is by the first and the last.
    stated = duration_seconds(container) or 0.0 if media.has_one_clock else 0.0
    declared = max(stated, length or 0.0) or None
    origin = start_seconds(container)
    sounds: dict[int, _Sound] = {}
    pictures: dict[int, _Pictures] = {}
    for audio, listeners in _by_stream((audio_stream(container, number, media.empty), ears[number]) for number in ears):
        sounds[audio.index] = _Sound(audio, listeners, StreamClock(origin, media.stays.get(audio.index, ())), declared)
    for video, watchers in _by_stream((video_stream(container, number, media.empty), eyes[number]) for number in eyes):
        clock = PictureClock(origin, video.average_rate, media.stays.get(video.index, ()))
        pictures[video.index] = _Pictures(video, watchers, clock, hardware=media.is_on_hardware(video))
    parts: list[_Sound | _Pictures] = [*sounds.values(), *pictures.values()]

    def tick() -> None:
        progress(max(part.clock for part in parts) / declared if declared else 0.0)

    for track, frame in decode(container, [part.track for part in parts], tick):
        if isinstance(frame, VideoFrame):
            pictures[track.index].add(frame)
        else:
            sounds[track.index].add(frame)
    if any(part.track.decoder == "nvdec" for part in parts):
        media.decoder = "nvdec"
    return tuple(warning for part in parts for warning in part.finish())


def _by_stream(wishes: Iterable[tuple[_Stream, Sequence[_Sink]]]) -> Iterator[tuple[_Stream, list[_Sink]]]:
    """Each stream once, though one may be asked for by its number and as the best."""
    streams: dict[int, _Stream] = {}
    sinks: dict[int, list[_Sink]] = {}
    for stream, asking in wishes:
        streams[stream.index] = stream
        sinks.setdefault(stream.index, []).extend(asking)
    return ((streams[index], sinks[index]) for index in streams)


class _Sound:
    """Keeps the timeline of the sound."""

    def __init__(
        self,
        stream: AudioStream,
        sinks: Sequence[AudioSink],
        clock: StreamClock,
        length: float | None,
    ) -> None:
        self.track = Track(stream)
        self._sinks = sinks
        self._names = Named()
        self._is_verbatim = is_verbatim(stream)
        self._nonsense = 0
        self._clock = clock
        self._limit = length + _GAP if length is not None else math.inf
        self.clock = 0.0
        self._holes: list[float] = []
        self._is_behind = False
        self._left_out = 0.0

    def add(self, frame: AudioFrame) -> None:
        lasts = frame.samples / frame.sample_rate
        if frame.time is not None:
            now = self._now(frame.time)
            self._fill(now)
            if self._overlaps(now, lasts):
                self._left_out += lasts
                return
        if self._is_verbatim:
            self._nonsense += silence_nonsense(frame)
        frame = self._names.named(frame)
        frame.pts = None  # the timeline is kept here; resamplers and filters would only check it
        for sink in self._sinks:
            sink.add(frame)
        self.clock += lasts

    def _now(self, time: float) -> float:
        """When this is heard; where its clock began anew, sound goes on where it was."""
        now = self._clock.moment(time)
        if self.clock - now > MOST_LAG:
            self._clock.go_on(time, self.clock)
            return self.clock
        return now

    def _fill(self, now: float) -> None:
        # A hole that ends after the file does is a broken clock, not a pause; before the first sound any time is one.
        slack = _GAP if self.clock else 0.0
        if self.clock + slack < now <= self._limit:
            for sink in self._sinks:
                sink.fill(now)
            if self.clock:
                self._holes.append(now - self.clock)
            self.clock = now

    def _overlaps(self, now: float, lasts: float) -> bool:
        """Whether the most of this was heard already."""
        lag = self.clock - now
        self._is_behind = lag > _GAP or (self._is_behind and lag > lasts / 2)
        return self._is_behind and lag > lasts / 2

    def finish(self) -> tuple[str, ...]:
        warnings = self.track.judge_sound(self.clock)
        for sink in self._sinks:
            sink.finish()
        if self._holes:
            warnings += (f"sound is missing for {sum(self._holes):.1f} s in all, which counts as silence",)
        if self._nonsense:
            warnings += (f"samples that are no numbers count as silence: {self._nonsense}",)
        if self._left_out:
            warnings += (f"sound overlaps for {self._left_out:.1f} s in all, which were left out",)
        return warnings


class _Pictures:
    """Gives each picture its time."""

    def __init__(self, stream: VideoStream, sinks: Sequence[Watcher], clock: PictureClock, *, hardware: bool) -> None:
        self.track = Track(stream, hardware=hardware)
        self._feeds = feeds(sinks)
        self._clock = clock

    @property
    def clock(self) -> float:
        """Until when there are pictures."""
        return self._clock.until

    def add(self, frame: VideoFrame) -> None:
        moment = self._clock.moment(frame.time)
        for feed in self._feeds:
            feed.add(frame, moment)

    def finish(self) -> tuple[str, ...]:
        warnings = self.track.judge_pictures()
        for feed in self._feeds:
            feed.finish()
        return warnings
