"""A small copy of a recording that plays inside a page: pictures and sound, or sound alone where it is long.

H.264 and AAC in MP4 while the size allows both, Opus in WebM for sound alone (the one codec for so few bits): today's
browsers play them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from shared.media.facts import Facts, VideoFacts
from shared.media.pictures import Painter
from shared.media.resampling import Resampled
from shared.media.shrinker import Shrinker
from shared.media.sinks import AudioSink, Pictures, VideoSink

#: All there may be: a page should load at once, and fit into a mail.
MOST_BYTES: Final = 7_500_000
#: Pictures a second: enough to follow what happens.
_RATE: Final = 5
#: Longest side in pixels.
_SIDE: Final = 320
#: Bits a second: with fewer than the lower it is of no use, with more than the upper it gets no better.
_H264_BITS: Final = (40_000, 300_000)
_AAC_BITS: Final = (32_000, 64_000)
_OPUS_BITS: Final = (7_000, 48_000)
#: Share of the size that goes to the container, which has an entry for each packet.
_OVERHEAD: Final = 0.1
#: Half of what is usual: speech needs no more, and it halves the cost.
_SOUND_RATE: Final = 24_000
#: The cheaper ways of each encoder; at this size nobody sees or hears the difference.
_H264: Final = {"preset": "superfast", "crf": "30", "threads": "1"}
_AAC: Final = {"aac_coder": "fast"}
_OPUS: Final = {"frame_duration": "60", "compression_level": "3"}
_NAME: Final = "preview"


@dataclass(frozen=True, slots=True)
class Film:
    """The finished copy: a whole MP4 or WebM file."""

    media_type: str
    data: bytes

    def save(self, folder: Path) -> None:
        """For another process."""
        (folder / _NAME).write_bytes(self.data)

    @classmethod
    def load(cls, folder: Path, media_type: str) -> Film:
        """What another process saved there."""
        return cls(media_type, (folder / _NAME).read_bytes())


class Preview:
    """Makes the copy of what its sinks are given; holds no more than the finished file."""

    def __init__(
        self,
        video: VideoFacts | None,
        length: float,
        *,
        picture_bits: int,
        sound_bits: int,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`length` is the file's, in seconds; no bits a second for what is not wanted."""
        self._most_bytes = most_bytes
        self.media_type = "video/mp4" if video and picture_bits else "audio/webm"
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format=self.media_type.partition("/")[2])
        self._size = 0
        self.hearing: Sequence[AudioSink] = []
        self.seeing: Sequence[VideoSink] = []
        self._streams: list[AudioStream | VideoStream] = []
        #: Sound from before the first picture, without whose size the file cannot begin.
        self._waiting: list[Packet[Any]] | None = None
        if video and picture_bits:
            limit = {"maxrate": str(picture_bits), "bufsize": str(picture_bits)}
            pictures = self._container.add_stream("libx264", rate=_RATE, options={**_H264, **limit})
            pictures.pix_fmt = "yuv420p"
            pictures.codec_context.colorspace = Colorspace.ITU709
            self.seeing = [_Pictures(self, pictures, video, length)]
            self._streams.append(pictures)
            self._waiting = []
        if sound_bits:
            sound = (
                self._container.add_stream("aac", rate=_SOUND_RATE, layout="mono", options=_AAC)
                if self.seeing
                else self._container.add_stream("libopus", rate=_SOUND_RATE, layout="mono", options=_OPUS)
            )
            sound.bit_rate = sound_bits
            self.hearing = [_Sound(self, sound)]
            self._streams.append(sound)

    @classmethod
    def of(cls, facts: Facts, length: float) -> Preview | None:
        """As good as fits into MOST_BYTES; None where nothing of use would."""
        room = int(MOST_BYTES * 8 * (1 - _OVERHEAD) / max(length, 1.0))
        has_sound = facts.sample_rate is not None
        if facts.video is not None:
            sound = min(max(room // 4, _AAC_BITS[0]), _AAC_BITS[1]) if has_sound else 0
            if room - sound >= _H264_BITS[0]:
                return cls(facts.video, length, picture_bits=min(room - sound, _H264_BITS[1]), sound_bits=sound)
        if has_sound and room >= _OPUS_BITS[0]:
            return cls(None, length, picture_bits=0, sound_bits=min(room, _OPUS_BITS[1]))
        return None

    def film(self) -> Film:
        """The copy, after the sinks have finished."""
        for stream in self._streams:
            self.take(stream.encode(None))
        self._container.close()
        return Film(self.media_type, self._file.getvalue())

    def begin(self) -> None:
        """The size of the pictures is known."""
        waiting, self._waiting = self._waiting or [], None
        self.take(waiting)

    def take(self, packets: Sequence[Packet[Any]]) -> None:
        """What a sink has encoded. Where encoders make more of it than they were told to, the copy ends early."""
        if self._waiting is not None:
            self._waiting.extend(packets)
            return
        for packet in packets:
            self._size += packet.size
            if self._size <= self._most_bytes:
                self._container.mux_one(packet)


class _Sound(Resampled):
    """An audio sink."""

    def __init__(self, preview: Preview, stream: AudioStream) -> None:
        super().__init__("s16", "mono", _SOUND_RATE, self._encode)
        self._preview, self._stream = preview, stream
        self._encoded = 0

    def _encode(self, frame: AudioFrame) -> None:
        frame.pts, frame.time_base = self._encoded, Fraction(1, _SOUND_RATE)
        self._encoded += frame.samples
        self._preview.take(self._stream.encode(frame))


class _Pictures:
    """A video sink."""

    def __init__(self, preview: Preview, stream: VideoStream, video: VideoFacts, length: float) -> None:
        self.needs = Pictures(moments=tuple(number / _RATE for number in range(max(ceil(length * _RATE), 1))))
        self._preview, self._stream = preview, stream
        self._painter = Painter(video.aspect, interpolation="AREA")
        self._shrinker = Shrinker()
        self._encoded = 0

    def add(self, frame: VideoFrame, moment: float) -> None:
        picture = self._painter.paint(frame, _SIDE, _SIDE)
        if not self._encoded:
            self._stream.width, self._stream.height = picture.size
            self._preview.begin()
        # All in the first one's size, even of a recording that changes its shape on the way.
        size = (self._stream.width, self._stream.height)
        small = self._shrinker.shrink(
            VideoFrame.from_ndarray(np.asarray(picture)), size, "yuv420p", dst_colorspace=Colorspace.ITU709
        )
        small.pts, small.time_base = self._encoded, Fraction(1, _RATE)
        self._encoded += 1
        self._preview.take(self._stream.encode(small))

    def finish(self) -> None:
        """The encoder's last pictures come with the end of the copy."""
