"""The picture a video shows at a given time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
from av import FFmpegError
from av.video.frame import VideoFrame

from shared.errors import ProcessingFailed
from shared.media.container import best_video, open_media, start_seconds
from shared.media.decoding import Track, decode
from shared.media.sinks import VideoSink

#: Decoding this far on costs less than a seek, seconds.
_NEAR: Final = 2.0
#: Where a seek lands too late (no usable keyframe there), try this much earlier, seconds.
_STEPS_BACK: Final = (0.0, 5.0, 30.0)


def seek_pictures(source: Path, sink: VideoSink, progress: Callable[[float], None]) -> None:
    """Feed a sink that wants pictures at a few moments, as decoded; `progress` gets the fraction done at every packet.

    Raises ProcessingFailed (`no_video_stream`, `undecodable`).
    """
    done = 0.0
    moments = sink.needs.moments or ()
    with FrameReader(source, lambda: progress(done)) as reader:
        for count, moment in enumerate(moments):
            done = count / len(moments)
            sink.add(reader.near(moment) if sink.needs.keyframes else reader.at(moment), moment)
    sink.finish()


class FrameReader:
    """Finds frames by time: it seeks where the file allows and that pays, and decodes on where it does not.

    A context manager; times are seconds from the start of the file, and cheapest in rising order.
    """

    def __init__(self, source: Path, tick: Callable[[], None]) -> None:
        """`tick` is called for every packet read; what it raises ends the search."""
        self._source = source
        self._tick = tick
        self._files = ExitStack()
        self._seeks = True

    def __enter__(self) -> FrameReader:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def at(self, moment: float) -> VideoFrame:
        """The frame shown at this time: the first one before the start, the last one after the end."""
        if self._should_seek(moment):
            self._seek(moment)
        elif self._shown is not None and moment < self._shown[0]:
            self._open()
        self._decode_to(moment)
        if self._shown is None:
            self._track.judge_pictures()
            raise ProcessingFailed("the video shows no picture at this time", code="undecodable")
        return self._shown[1]

    def near(self, moment: float) -> VideoFrame:
        """The last keyframe before this time where the file can be sought in, else the frame shown: less to decode."""
        if self._seeks and moment > _NEAR:
            self._seek(moment)
            if self._seeks and self._shown is not None:
                return self._shown[1]
        return self.at(moment)

    def _open(self) -> None:
        self._files.close()
        self._container = self._files.enter_context(open_media(self._source))
        stream = best_video(self._container)
        if stream is None:
            raise ProcessingFailed("the file has no video stream", code="no_video_stream")
        stream.thread_type = "AUTO"
        self._stream, self._track = stream, Track(stream)
        self._origin = start_seconds(self._container)
        self._forget()

    def _forget(self) -> None:
        self._frames = self._decode()
        self._shown: tuple[float, VideoFrame] | None = None
        self._next: tuple[float, VideoFrame] | None = None

    def _should_seek(self, moment: float) -> bool:
        if not self._seeks:
            return False
        if self._shown is None:
            return moment > _NEAR
        return not self._shown[0] <= moment <= self._shown[0] + _NEAR

    def _seek(self, moment: float) -> None:
        before = self._shown[0] if self._shown is not None else None
        for back in _STEPS_BACK:
            target = max(moment - back, 0.0)
            ticks = round((self._origin + target) / float(self._stream.time_base or Fraction(1, av.time_base)))
            try:
                self._container.seek(ticks, stream=self._stream)
            except FFmpegError:
                break
            self._forget()
            self._decode_to(float("-inf"))
            if self._shown is not None and self._shown[0] <= moment:
                # Behind where we were: keyframes are further apart than the times asked for.
                self._seeks = before is None or moment < before or self._shown[0] > before
                return
        self._seeks = False
        self._open()

    def _decode_to(self, moment: float) -> None:
        """Move on until the next frame is later than `moment`."""
        if self._shown is None:
            self._shown = next(self._frames, None)
        while self._shown is not None and self._shown[0] < moment:
            if self._next is None:
                self._next = next(self._frames, None)
            if self._next is None or self._next[0] > moment:
                return
            self._shown, self._next = self._next, None

    def _decode(self) -> Iterator[tuple[float, VideoFrame]]:
        """Frames with their times, from here to the end; what the decoder refuses is passed over."""
        moment = 0.0
        step = float(1 / self._stream.average_rate) if self._stream.average_rate else 0.04
        for _, frame in decode(self._container, [self._track], self._tick):
            assert isinstance(frame, VideoFrame)  # noqa: S101
            moment = frame.time - self._origin if frame.time is not None else moment
            yield moment, frame
            moment += step
