"""Does the file hold all it declares? Half a recording must never pass for a whole one.

A container that states its length keeps stating it when the upload was cut off, and libav ends such a file like any
other. So the last seconds are looked up, in the index where it says where every packet lies, else by reading them:
where they are missing, all packets are read to learn where the file ends. Files that state no length, or only an
estimate (a plain MP3, MPEG-TS, a streamed WAV), are whole by definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import av
from av import FFmpegError
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from shared.errors import ProcessingFailed
from shared.media import boxes, lengths
from shared.media.container import duration_seconds, is_cover_art, last_words, seconds, start_seconds
from shared.media.demuxing import packets
from shared.media.media_file import MediaFile
from shared.media.survey import Survey
from shared.source import RemoteObject, Source, WholeNeeded, open_source

#: Demuxers whose files state their length exactly; those of MP4 state it for each stream.
_EXACT: Final = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})
_MATROSKA: Final = "matroska,webm"
_RECORDINGS: Final = frozenset({"flac", "wav", "w64", "aiff", "caf", "au", "wv", "ape", "tta", "tak", "mpc", "mpc8"})
_STATED: Final = _EXACT | _RECORDINGS | {_MATROSKA, "avi", "asf", "flv", "mxf"}
#: Demuxers of files that are joined as they are, each with any clock. (Ogg has clocks that may jump, too, but those of
#: its recordings begin at zero: one that jumps ahead tells of a pause.)
_JOINABLE: Final = frozenset({"mpegts", "mpeg"})
_TAIL_SECONDS: Final = 5.0

#: What may be missing: a stream's last packet may be long, headers are rounded, encoders pad.
_SLACK_SECONDS: Final = 2.0
_SLACK_SHARE: Final = 0.05
_MOST_SLACK_SECONDS: Final = 30.0
#: The same, when the file's own structure proves the cut.
_PROVEN_SLACK_SECONDS: Final = 0.5


@dataclass(slots=True)
class _Reach:
    """How far the packets go, in seconds from the start of the file, for each stream; and why reading ended."""

    ends: dict[int, float] = field(default_factory=dict)
    #: What joined recordings the packets are of.
    survey: Survey = field(default_factory=Survey)
    #: What was refused since the last packet.
    error: FFmpegError | None = None
    #: Whether it could not go on.
    is_stuck: bool = False

    def refuse(self, error: FFmpegError) -> None:
        self.error = error

    def see(self, packet: Packet[Stream], begins: float, lasts: float) -> None:
        """A packet with a time of its own, on the file's clock."""
        index = packet.stream.index
        # Not by when it is shown: pictures may be stored in another order, by seconds.
        decoded = seconds(packet.dts, packet.time_base)
        end = self.survey.see(index, decoded, begins, lasts)
        self.ends[index] = max(end, self.ends.get(index, 0.0))

    def settle(self) -> None:
        """All packets are seen: it is known where each part begins."""
        for index, stays in self.survey.stays().items():
            self.ends[index] = max(self.ends[index], *(stay.last + stay.shift for stay in stays))

    @property
    def end(self) -> float:
        return max(self.ends.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class Length:
    """What the file really holds, and what there is to say about it."""

    seconds: float
    warnings: tuple[str, ...] = ()


def require_whole(media: MediaFile, progress: Callable[[float], None]) -> Length:
    """The file's real length; reads all of it only when the file does not say, or says more than it has.

    Raises ProcessingFailed: `truncated` when more than a little is missing, `empty_media` when nothing is there;
    WholeNeeded where all of a remote file would have to be read, part by part and unchecked.
    """
    declared = _declared(media.headers, media.source)
    if declared:
        length = max(declared.values())
        indexed = _indexed(media)
        if indexed is not None and not _missing(declared, indexed, slack=_SLACK_SECONDS / 4):
            return Length(length)
        container = media.anywhere()
        tail = _read(container, _counted(container, declared), progress, start=max(length - _TAIL_SECONDS, 0.0))
        # A track of which the tail holds nothing may be empty, or just shorter.
        is_heard_of = all(stream.index in tail.ends for stream in _timed(container))
        if is_heard_of and tail.survey.has_one_clock and not _missing(declared, tail, slack=_SLACK_SECONDS / 4):
            return Length(max(length, tail.end))
    if isinstance(media.source, RemoteObject):
        raise WholeNeeded("the file does not say where it ends, or ends elsewhere")
    container = media.from_start()
    # What an index has packets of is not empty: they are cut off.
    without = {stream.index for stream in _timed(container) if not stream.frames and not len(stream.index_entries)}
    timed = {stream.index for stream in _timed(container)}
    reach = _read(container, _counted(container, declared), progress)
    media.stays = {} if reach.survey.has_one_clock else reach.survey.stays()
    if not any(stream in reach.ends for stream in timed):
        raise ProcessingFailed("the file has headers but no sound and no pictures", code="empty_media")
    media.empty = frozenset(without - reach.ends.keys())
    declared = {stream: end for stream, end in declared.items() if stream not in media.empty}
    return Length(reach.end, _judge(media, declared, reach) if declared else _said(reach))


def _said(reach: _Reach) -> tuple[str, ...]:
    if reach.error is None or not reach.is_stuck:
        return ()
    return (f"the file cannot be read beyond {reach.end:.1f} s ({last_words(reach.error)})",)


def _judge(media: MediaFile, declared: dict[int | None, float], reach: _Reach) -> tuple[str, ...]:
    longest = max(declared.values())
    flaw = _flaw(media)
    slack = min(max(_SLACK_SECONDS, _SLACK_SHARE * longest), _MOST_SLACK_SECONDS)
    missing = _missing(declared, reach, slack=_PROVEN_SLACK_SECONDS)
    if missing is None:
        return ()
    stated, reached = missing
    if not flaw and stated - reached <= slack:
        return (f"the file declares {stated:.1f} s, but its content stops at {reached:.1f} s",)
    said = f" ({last_words(reach.error)})" if reach.error else f" ({flaw})" if flaw else ""
    raise ProcessingFailed(
        f"the file is truncated: it declares {stated:.1f} s but its content stops at {reached:.1f} s{said}",
        code="truncated",
    )


def _flaw(media: MediaFile) -> str | None:
    with open_source(media.source) as file:
        return boxes.flaw(file, media.size)


def _missing(declared: dict[int | None, float], reach: _Reach, *, slack: float) -> tuple[float, float] | None:
    """The stated and the real end of what falls short most, or None."""
    pairs = [(end, reach.end if index is None else reach.ends.get(index, 0.0)) for index, end in declared.items()]
    stated, reached = max(pairs, key=lambda pair: pair[0] - pair[1])
    return (stated, reached) if stated - reached > slack else None


def _declared(container: InputContainer, source: Source) -> dict[int | None, float]:
    """Where each stream says it ends, or the whole file (None); nothing where no exact length is stated."""
    kind = container.format.name
    length = duration_seconds(container) or 0.0
    if kind in _EXACT and (ends := _stream_ends(container, length)):
        return ends
    if kind in _STATED or (kind == "mp3" and lengths.states_mp3_length(source)):
        length = max(length, lengths.stated_seconds(source) or 0.0)
        if kind == _MATROSKA:  # counts from zero, though the first packet may come later
            length = max(length - max(start_seconds(container), 0.0), 0.0)
        return {None: length} if length else {}
    return {}


def _stream_ends(container: InputContainer, length: float) -> dict[int | None, float]:
    origin = start_seconds(container)
    ends: dict[int | None, float] = {}
    for stream in _timed(container):
        lasts = seconds(stream.duration, stream.time_base)
        if lasts:
            begins = (seconds(stream.start_time, stream.time_base) or 0.0) - origin
            ends[stream.index] = min(begins + lasts, length)
    return ends


def _timed(container: InputContainer) -> list[Stream]:
    streams: list[Stream] = [*container.streams.audio, *container.streams.video]
    return [stream for stream in streams if not is_cover_art(stream)]


def _indexed(media: MediaFile) -> _Reach | None:
    """How far the packets go that an MP4's index places inside the file; None without a whole index."""
    container = media.headers
    if container.format.name not in _EXACT or _flaw(media) is not None:
        return None
    reach = _Reach()
    origin = start_seconds(container)
    for stream in _timed(container):
        entries = stream.index_entries
        last = entries[-1] if len(entries) else None
        if last is not None and last.pos + last.size <= media.size:
            begins = seconds(last.timestamp, stream.time_base) or 0.0
            reach.ends[stream.index] = begins + _step_of(stream) - origin
    return reach


def _counted(container: InputContainer, declared: Mapping[int | None, float]) -> list[Stream]:
    """What makes up the length: where the container states one for all of its streams, subtitles may be the longest."""
    return [*_timed(container), *(container.streams.subtitles if None in declared else ())]


def _read(
    container: InputContainer, streams: list[Stream], progress: Callable[[float], None], *, start: float = 0.0
) -> _Reach:
    """Demux, without decoding, from `start` to the end."""
    origin = start_seconds(container)
    reach = _Reach(survey=Survey(origin, jumps=container.format.name in _JOINABLE))
    length = duration_seconds(container)
    try:
        if start:
            container.seek(round((origin + start) * av.time_base))
        for packet in packets(container, streams, reach.refuse):
            reach.error = None
            moment = packet.pts if packet.pts is not None else packet.dts
            if moment is None:
                if not packet.size:
                    continue
                reach.ends[packet.stream.index] = reach.ends.get(packet.stream.index, 0.0) + _step(packet)
            else:
                begins = float(moment * packet.time_base)
                reach.see(packet, begins, _step(packet))
            progress(reach.end / length if length else 0.0)
    except FFmpegError as error:
        reach.error, reach.is_stuck = error, True
    reach.settle()
    return reach


def _step(packet: Packet[Stream]) -> float:
    """Seconds that a packet stands for, which it need not say (raw video, the last one before a joint)."""
    if packet.duration and packet.time_base:
        return float(packet.duration * packet.time_base)
    return _step_of(packet.stream)


def _step_of(stream: Stream) -> float:
    rate = stream.average_rate if isinstance(stream, VideoStream) else None
    return float(1 / rate) if rate else 0.0
