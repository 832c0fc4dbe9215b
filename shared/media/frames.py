"""The picture a video shows at a given time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from fractions import Fraction
from typing import Final

import av
from av import FFmpegError
from av.container import InputContainer
from av.video.frame import VideoFrame

from shared.errors import ProcessingFailed
from shared.media.clock import PictureClock
from shared.media.container import start_seconds, video_stream
from shared.media.decoding import Track, decode
from shared.media.media_file import MediaFile
from shared.media.sinks import VideoSink

#: A seek costs as much as to decode so far on, seconds.
_SEEK: Final = 0.5
#: Where no index tells where keyframes are: so far at least it pays to decode on.
_NEAR: Final = 2.0
#: Where a seek lands too late (no usable keyframe there), try this much earlier, seconds.
_STEPS_BACK: Final = (0.0, 5.0, 30.0)


def seek_pictures(
    media: MediaFile,
    sink: VideoSink,
    progress: Callable[[float], None],
    tries: Iterable[float] | None = None,
    stream: int | None = None,
) -> tuple[str, ...]:
    """Feed a sink that wants pictures at a few moments, as decoded; answers warnings.

    `progress` gets the fraction done at every packet. `tries` are shown instead of all that the sink needs: what was
    shown may decide what is tried next. `stream` is the number of the video stream; None for the best.

    Raises ProcessingFailed (`no_video_stream`, `undecodable`).
    """
    done = 0.0
    expected = sink.needs.seeks
    with closing(FrameReader(media, lambda: progress(done), stream)) as reader:
        for count, moment in enumerate(sink.needs.moments or () if tries is None else tries):
            done = count / max(expected, count + 1)
            sink.add(reader.near(moment) if sink.needs.keyframes else reader.at(moment), moment)
    sink.finish()
    return reader.warnings


class FrameReader:
    """Finds frames by time: it seeks where the file allows and that pays, and decodes on where it does not.

    Times are seconds from the start of the file, and cheapest in rising order.
    """

    def __init__(self, media: MediaFile, tick: Callable[[], None], stream: int | None = None) -> None:
        """`tick` is called for every packet read; what it raises ends the search. `stream` is as in `seek_pictures`."""
        self._media, self._number = media, stream
        self._tick = tick
        self._seeks = media.has_one_clock
        self._near = _NEAR
        #: Whether what is read next is what comes next, and not what another reader left behind.
        self._is_placed = media.is_untouched
        self._use(media.anywhere())

    def close(self) -> None:
        """Nothing more is sought."""
        self._frames.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the decoder refused on the way to what was found."""
        return self._track.judge_pictures()

    def at(self, moment: float) -> VideoFrame:
        """The frame shown at this time: the first one before the start, the last one after the end."""
        if self._should_seek(moment):
            self._seek(moment)
        elif not self._is_placed or (self._shown is not None and moment < self._shown[0]):
            self._open()
        self._decode_to(moment)
        if self._shown is None:
            self._track.judge_pictures()
            raise ProcessingFailed("the video shows no picture at this time", code="undecodable")
        return self._shown[1]

    def near(self, moment: float) -> VideoFrame:
        """The last keyframe before this time where the file can be sought in, else the frame shown: less to decode."""
        if self._seeks and moment > _NEAR and self._seek(moment) and self._shown is not None:
            return self._shown[1]
        return self.at(moment)

    def _open(self) -> None:
        self._use(self._media.from_start())
        self._is_placed = True

    def _use(self, container: InputContainer) -> None:
        self._container = container
        self._stream = video_stream(container, self._number, self._media.empty)
        self._track = Track(self._stream)
        self._origin = start_seconds(container)
        self._forget()

    def _forget(self) -> None:
        self._frames = self._decode()
        self._shown: tuple[float, VideoFrame] | None = None
        self._next: tuple[float, VideoFrame] | None = None

    def _should_seek(self, moment: float) -> bool:
        if not self._seeks:
            return False
        if self._shown is None:
            return moment > _NEAR or not self._is_placed
        if moment < self._shown[0]:
            return True
        keyframe = self._keyframe_before(moment)
        return moment > self._shown[0] + self._near if keyframe is None else keyframe > self._shown[0] + _SEEK

    def _keyframe_before(self, moment: float) -> float | None:
        """When the last keyframe up to this time is, by the file's index; None where that does not reach so far."""
        entries, ticks = self._stream.index_entries, round((self._origin + moment) / self._tick_seconds)
        if not len(entries) or entries[len(entries) - 1].timestamp < ticks:
            return None
        found = entries.search_timestamp(ticks)
        return None if found < 0 else entries[found].timestamp * self._tick_seconds - self._origin

    def _seek(self, moment: float) -> bool:
        """Go where decoding leads to this time; False when that is no keyframe's place but a step or more before it."""
        before = self._shown[0] if self._shown is not None else None
        for back in _STEPS_BACK:
            target = max(moment - back, 0.0)
            try:
                self._container.seek(round((self._origin + target) / self._tick_seconds), stream=self._stream)
            except FFmpegError:
                break
            self._forget()
            self._is_placed = True
            self._decode_to(float("-inf"))
            if self._shown is not None and self._shown[0] <= moment:
                if before is not None and self._shown[0] <= before < moment:
                    # Behind where we were: so far apart are keyframes, and so far it is better to decode on.
                    self._near = max(self._near, moment - self._shown[0])
                return not back
        # That there is no picture before the first one says nothing about seeking.
        self._seeks = moment <= _NEAR
        self._open()
        return False

    @property
    def _tick_seconds(self) -> float:
        return float(self._stream.time_base or Fraction(1, av.time_base))

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

    def _decode(self) -> Generator[tuple[float, VideoFrame], None, None]:
        """Frames with their times, from here to the end; what the decoder refuses is passed over."""
        clock = PictureClock(self._origin, self._stream.average_rate, self._media.stays.get(self._stream.index, ()))
        for _, frame in decode(self._container, [self._track], self._tick):
            assert isinstance(frame, VideoFrame)  # noqa: S101
            yield clock.moment(frame.time), frame
