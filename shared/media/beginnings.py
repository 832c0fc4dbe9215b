"""The first packets of a file's videos: their first pictures, and when each of these is shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from av import FFmpegError
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from shared.media.container import is_cover_art, seconds
from shared.media.demuxing import last_packet, packets
from shared.media.frame_rate import has_index

#: Packets of any kind in which all first pictures must be found.
_PATIENCE: Final = 5000
#: Packets whose times tell an even rate from an uneven one, for files without an index.
_TIMES: Final = 100
#: The most pictures that codings hold back for reordering.
_REORDERED: Final = 16


@dataclass(slots=True)
class Beginning:
    """What one video begins with."""

    needed: int
    #: The first picture that could be decoded; None when there was none.
    frame: VideoFrame | None = None
    packets: int = 0
    _times: list[float] = field(default_factory=list)

    def add(self, packet: Packet[Stream]) -> None:
        self.packets += 1
        moment = seconds(packet.pts, packet.time_base)
        if moment is not None:
            self._times.append(moment)
        if self.frame is None:
            with suppress(FFmpegError):  # a broadcast begins with what cannot be decoded yet
                self.frame = _picture(packet)

    @property
    def times(self) -> list[float]:
        """When the first pictures are shown, in seconds, in rising order and without holes."""
        in_order = sorted(set(self._times))
        # Packets come in decoding order: of a part of them, the last in order of time may not be all there.
        return in_order[:-_REORDERED] if self.packets >= _TIMES else in_order

    @property
    def is_known(self) -> bool:
        return self.packets >= self.needed and self.frame is not None


def _picture(packet: Packet[Stream]) -> VideoFrame | None:
    """The picture in a packet, or one in those before it."""
    frames: Sequence[object] = packet.decode()
    context = packet.stream.codec_context
    if not frames and packet.is_keyframe and isinstance(context, VideoCodecContext):
        # A keyframe needs no other, but is held back for those that may be shown before it: several pictures' work.
        frames = context.decode(None)
        context.flush_buffers()
    return next((frame for frame in frames if isinstance(frame, VideoFrame)), None)


def beginnings(container: InputContainer, streams: Sequence[VideoStream]) -> dict[int, Beginning]:
    """By the streams' indexes. Reads on from where the container stands, and leaves it there."""
    found = {
        stream.index: Beginning(needed=0 if has_index(stream) or is_cover_art(stream) else _TIMES) for stream in streams
    }
    read = packets(container, list(container.streams), lambda error: None)
    with suppress(FFmpegError):  # a damaged file: what came until there counts
        for _, packet in zip(range(_PATIENCE), chain(read, map(last_packet, streams)), strict=False):
            if all(each.is_known for each in found.values()):
                break
            # Beyond libav's limit of streams, a number may be another kind's.
            if packet.stream_index in found and isinstance(packet.stream, VideoStream):
                found[packet.stream_index].add(packet)
    return found
