"""The packets of a file, to its very end: past what a demuxer refuses, and whatever else turns up on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from av import FFmpegError
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

#: Errors in a row after which a demuxer will get no further.
_PATIENCE: Final = 100


def packets(
    container: InputContainer, streams: Sequence[Stream], refuse: Callable[[FFmpegError], None]
) -> Iterator[Packet[Stream]]:
    """What is left of these streams; `refuse` gets one error for each place that the demuxer stumbled over.

    Raises FFmpegError where it does not go on: what comes behind that place is lost.
    """
    errors = 0
    while True:
        try:
            for packet in container.demux(streams):
                if _is_last(packet):
                    return
                errors = 0
                yield packet
        except FFmpegError as error:
            errors += 1
            if errors == _PATIENCE:
                raise
            if errors == 1:
                refuse(error)
        else:
            return


def last_packet(stream: Stream) -> Packet[Stream]:
    """The one by which a decoder gives what it held back."""
    packet = Packet()
    packet.stream = stream
    if stream.time_base is not None:
        packet.time_base = stream.time_base
    return packet


def _is_last(packet: Packet[Stream]) -> bool:
    """Whether PyAV made it up, at the end, to flush the decoder.

    Before it makes the next one, it looks at every stream that the file has by then: where one turned up in
    mid-file (FLV, MPEG-TS) that is beyond its own list (18.1: IndexError). So nobody may ask it for another.
    """
    return not packet.size and packet.pts is None and packet.dts is None and packet.pos is None
