"""Lengths that a file's own header states, where libav corrects them in silence to what the file still holds."""

from __future__ import annotations

import struct
from typing import Final

from shared.media.boxes import UNKNOWN_RIFF_SIZE
from shared.source import Source, open_source

_HEAD_BYTES: Final = 64 * 1024
#: Codings whose byte rate is exact: PCM, floating point, A-law, mu-law. Others' encoders write a guess.
_WAVE_FIXED_RATE: Final = frozenset({1, 3, 6, 7})
_WAVE_EXTENSIBLE: Final = 0xFFFE
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST: Final = 1


def stated_seconds(source: Source) -> float | None:
    """The length in the header of a WAV, AVI or ASF file; None for others, and where it is left open."""
    with open_source(source) as file:
        head = file.read(_HEAD_BYTES)
    try:
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            return _wav(head)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            return _avi(head)
        return _asf(head)
    except struct.error:  # the header itself is cut off
        return None


def states_mp3_length(source: Source) -> bool:
    """Whether an MP3's first frame holds a Xing header with the number of frames, which is exact."""
    with open_source(source) as file:
        start = file.read(10)
        if start[:3] == b"ID3":
            size = 0
            for byte in start[6:10]:
                size = size << 7 | byte & 0x7F
            file.seek(10 + size)
        else:
            file.seek(0)
        frame = file.read(256)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    return at >= 0 and bool(frame[at + 7 : at + 8] > b"\0" and frame[at + 7] & 1 and any(frame[at + 8 : at + 12]))


def _wav(head: bytes) -> float | None:
    at, bytes_a_second = 12, 0
    while at + 8 <= len(head):
        kind, size = struct.unpack_from("<4sI", head, at)
        if kind == b"fmt ":
            (coding,) = struct.unpack_from("<H", head, at + 8)
            if coding == _WAVE_EXTENSIBLE:
                (coding,) = struct.unpack_from("<H", head, at + 32)
            if coding not in _WAVE_FIXED_RATE:
                return None
            # Not the byte rate, which says the same and which some programs get wrong.
            rate, bytes_a_sample = struct.unpack_from("<I4xH", head, at + 12)
            bytes_a_second = rate * bytes_a_sample
        if kind == b"data":
            return size / bytes_a_second if 0 < size < UNKNOWN_RIFF_SIZE and bytes_a_second else None
        at += 8 + size + size % 2
    return None


def _avi(head: bytes) -> float | None:
    at = head.find(b"avih")
    if at < 0:
        return None
    microseconds_a_frame, frames = struct.unpack_from("<I12xI", head, at + 8)
    return microseconds_a_frame * frames / 1e6 or None


def _asf(head: bytes) -> float | None:
    """File Properties Object: play time in 100 ns, less the preroll in ms."""
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0:
        return None
    played, preroll, flags = struct.unpack_from("<Q8xQI", head, at + 64)
    return None if flags & _ASF_BROADCAST else played / 1e7 - preroll / 1e3
