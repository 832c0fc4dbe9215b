"""What recordings a file was joined from, each with a clock of its own: found by a look at all its packets.

Each part begins where the one before ends, be it with its sound or with its pictures, and all streams of a part keep
their places beside each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: A clock that lags by more than this (seconds) behind what was there already began anew.
MOST_LAG: Final = 1.0
#: So far apart (seconds) the streams of one part may be stored.
_MOST_APART: Final = 10.0
#: Where clocks may follow each other, one that is ahead of all streams by more than this (seconds) began anew
#: (dts_delta_threshold in fftools/ffmpeg_demux.c).
_MOST_JUMP: Final = 10.0


@dataclass(frozen=True, slots=True)
class Stay:
    """A stretch of one stream within one part of its file."""

    #: Where it begins and ends on the file's own clock, seconds.
    first: float
    last: float
    #: What makes a time on that clock one in seconds from the start of the file.
    shift: float

    def misses(self, time: float) -> float:
        """How far outside a time is."""
        return max(self.first - time, time - self.last, 0.0)


@dataclass(slots=True)
class _Part:
    """What one clock counts; its own times are on that."""

    #: In seconds from the start of the file; and where that was taken to be when its first packet turned up.
    begins: float
    found_at: float
    #: Where the stream of that packet had got to; None as soon as it is not the only one here.
    alone: float | None = None
    first: float = math.inf
    #: When the packet that is furthest ahead is to be decoded.
    front: float = -math.inf
    #: Of streams that are still in the part before: how far they got after this one began.
    late: dict[int, float] = field(default_factory=dict)

    @property
    def shift(self) -> float:
        return self.begins - self.first

    @property
    def is_new(self) -> bool:
        """Whether nothing is known to be here yet."""
        return self.front == -math.inf

    def enter(self, stream: int) -> None:
        """Another stream has come here."""
        self.alone = None
        end = self.late.pop(stream, 0.0)
        if end <= self.found_at + MOST_LAG:
            self.begins = max(self.begins, end)

    def leave_out(self, stream: int, end: float) -> None:
        """Another stream goes on to this time in a part before."""
        self.late[stream] = end
        if self.alone is not None and end > self.found_at + MOST_LAG:
            # It was one stream's clock that began anew, for its own reasons.
            self.begins = self.alone


@dataclass(slots=True)
class _Stretch:
    """A `Stay` that is being found out about."""

    part: _Part
    first: float = math.inf
    last: float = -math.inf
    #: When its last packet is to be decoded.
    decoded: float = -math.inf

    @property
    def end(self) -> float:
        return self.last + self.part.shift


class Survey:
    """Finds a file's parts by its packets, in the order they are stored in: at a joint those of two parts may mix."""

    def __init__(self, origin: float = 0.0, *, jumps: bool = False) -> None:
        """`origin` is where the file's own clock begins; `jumps`, whether one that is far ahead began anew, too."""
        self._most_jump = _MOST_JUMP if jumps else math.inf
        self._parts = [_Part(0.0, 0.0, first=origin)]
        self._stretches: dict[int, list[_Stretch]] = {}

    @property
    def has_one_clock(self) -> bool:
        """Whether one clock goes on from the file's start to its end."""
        return len(self._parts) == 1

    def see(self, stream: int, decoded: float | None, begins: float, lasts: float) -> float:
        """The next packet: when it is to be decoded, if that is known, and presented, in seconds on the file's clock.

        Answers where it ends in seconds from the start of the file, as far as can be told by now.
        """
        stretch = self._stretch(stream, decoded)
        part = stretch.part
        if part is not self._parts[0]:
            part.first = min(part.first, begins)
        stretch.first, stretch.last = min(stretch.first, begins), max(stretch.last, begins + lasts)
        if decoded is not None:
            stretch.decoded = decoded
            part.front = max(part.front, decoded)
        if part is not self._parts[-1]:
            self._parts[-1].leave_out(stream, stretch.end)
        return begins + lasts + part.shift

    def stays(self) -> Mapping[int, Sequence[Stay]]:
        """Where each stream is in turn."""
        return {
            stream: tuple(Stay(each.first, each.last, each.part.shift) for each in stretches)
            for stream, stretches in self._stretches.items()
        }

    def _stretch(self, stream: int, decoded: float | None) -> _Stretch:
        """What this packet is of."""
        stretches = self._stretches.setdefault(stream, [])
        own = stretches[-1] if stretches else None
        if own is not None and decoded is None:
            return own
        part = self._part(stretches, decoded) or self._behind(own)
        if own is None or part is not own.part:
            if not part.is_new:
                part.enter(stream)
            stretches.append(_Stretch(part))
        return stretches[-1]

    def _part(self, stretches: Sequence[_Stretch], decoded: float | None) -> _Part | None:
        """Of those there are, the one whose clock a packet of this stream goes on with."""
        newest = self._parts[-1]
        if not stretches:
            return newest if decoded is None or self._goes_on(newest, decoded) else None
        assert decoded is not None  # noqa: S101
        own = stretches[-1]
        # One packet with a time of its own begins no part for those behind it.
        back = stretches[-2:-1] if own.last - own.first <= MOST_LAG else []
        ways = {
            abs(decoded - each.decoded): each.part
            for each in (own, *back)
            if decoded >= each.decoded - MOST_LAG and self._goes_on(each.part, decoded)
        }
        if own.part is not newest and abs(decoded - newest.front) <= _MOST_APART:
            ways[abs(decoded - newest.front)] = newest
        return ways[min(ways)] if ways else None

    def _goes_on(self, part: _Part, decoded: float) -> bool:
        """Whether it is not too far ahead of all streams: where others went on, there is a hole in this one."""
        return part.is_new or decoded - part.front <= self._most_jump

    def _behind(self, own: _Stretch | None) -> _Part:
        """A new part, which begins where all that was there ends."""
        ends = [each.end for stretches in self._stretches.values() for each in stretches[-2:]]
        begins = max([self._parts[-1].begins, *ends])
        self._parts.append(_Part(begins, begins, alone=own.end if own is not None else None))
        return self._parts[-1]
