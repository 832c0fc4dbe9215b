"""One decode pass: the file is demuxed once, and each frame goes to the sinks that asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame

from shared.errors import ProcessingFailed
from shared.media.container import best_audio, best_video, duration_seconds, open_media, start_seconds
from shared.media.decoding import Track, decode
from shared.media.feeds import feeds
from shared.media.sinks import AudioSink, VideoSink

#: A hole in the timestamps longer than this (seconds) is filled with silence, so that words keep their times.
_GAP: Final = 0.1
_USUAL_STEP: Final = 0.04


def decode_once(
    source: Path, audio: Sequence[AudioSink], video: Sequence[VideoSink], progress: Callable[[float], None]
) -> tuple[str, ...]:
    """Feed the best audio stream and the best video stream to their sinks; answers warnings.

    A stream without sinks is not decoded. `progress` gets the fraction done at every packet; what it raises ends the
    pass.

    Raises ProcessingFailed (`no_audio_stream`, `no_video_stream`; `undecodable` when there is no picture at all or more
    than a little of the sound is lost), ResourceExhausted.
    """
    with open_media(source) as container:
        declared = duration_seconds(container)
        sound = _Sound(container, audio) if audio else None
        pictures = _Pictures(container, video) if video else None
        parts = [part for part in (sound, pictures) if part]

        def tick() -> None:
            progress(max(part.clock for part in parts) / declared if declared else 0.0)

        for _, frame in decode(container, [part.track for part in parts], tick):
            if isinstance(frame, VideoFrame):
                assert pictures is not None  # noqa: S101
                pictures.add(frame)
            else:
                assert sound is not None  # noqa: S101
                sound.add(frame)
    return (*(sound.finish() if sound else ()), *(pictures.finish() if pictures else ()))


class _Sound:
    """Keeps the timeline of the sound."""

    def __init__(self, container: InputContainer, sinks: Sequence[AudioSink]) -> None:
        stream = best_audio(container)
        if stream is None:
            raise ProcessingFailed("the file has no audio stream", code="no_audio_stream")
        self.track = Track(stream)
        self._sinks = sinks
        self._origin = start_seconds(container)
        declared = duration_seconds(container)
        self._limit = declared + _GAP if declared is not None else 0.0
        self.clock = 0.0

    def add(self, frame: AudioFrame) -> None:
        if frame.time is not None:
            self._fill(frame.time - self._origin)
        frame.pts = None  # the timeline is kept here; resamplers and filters would only check it
        for sink in self._sinks:
            sink.add(frame)
        self.clock += frame.samples / frame.sample_rate

    def _fill(self, now: float) -> None:
        # A hole that ends after the file does is a broken clock, not a pause.
        if self.clock + _GAP < now <= self._limit:
            for sink in self._sinks:
                sink.fill(now)
            self.clock = now

    def finish(self) -> tuple[str, ...]:
        warnings = self.track.judge_sound(self.clock)
        for sink in self._sinks:
            sink.finish()
        return warnings


class _Pictures:
    """Keeps the time of the pictures."""

    def __init__(self, container: InputContainer, sinks: Sequence[VideoSink]) -> None:
        stream = best_video(container)
        if stream is None:
            raise ProcessingFailed("the file has no video stream", code="no_video_stream")
        stream.thread_type = "AUTO"
        self.track = Track(stream)
        self._feeds = feeds(sinks)
        self._origin = start_seconds(container)
        self._step = float(1 / stream.average_rate) if stream.average_rate else _USUAL_STEP
        self.clock = 0.0

    def add(self, frame: VideoFrame) -> None:
        moment = frame.time - self._origin if frame.time is not None else self.clock
        self.clock = moment + self._step
        for feed in self._feeds:
            feed.add(frame, moment)

    def finish(self) -> tuple[str, ...]:
        warnings = self.track.judge_pictures()
        for feed in self._feeds:
            feed.finish()
        return warnings
