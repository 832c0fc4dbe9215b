"""Edit lists of MP4 files, changed in place (ISO/IEC 14496-12, 8.6.6): what phones' and editors' trims leave behind."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MOVIE_TICKS = 1000  # what FFmpeg writes into mvhd


def cut_head(data: bytes, seconds: float, *, handlers: tuple[bytes, ...] = (b"vide", b"soun")) -> bytes:
    """The file as it is, but with the first `seconds` of these tracks left out by their edit lists."""
    changed = bytearray(data)
    for track in _boxes(data, b"moov", b"trak"):
        kind = next(_boxes(data, b"mdia", b"hdlr", inside=track))
        if data[kind[0] + 8 : kind[0] + 12] not in handlers:
            continue
        header = next(_boxes(data, b"mdia", b"mdhd", inside=track))
        (ticks,) = struct.unpack_from(">I", data, header[0] + (20 if data[header[0]] else 12))
        entry = next(_boxes(data, b"edts", b"elst", inside=track))[0] + 8
        lasts, begins = struct.unpack_from(">Ii", data, entry)
        struct.pack_into(">Ii", changed, entry, lasts - round(seconds * _MOVIE_TICKS), begins + round(seconds * ticks))
    return bytes(changed)


def _boxes(data: bytes, *path: bytes, inside: tuple[int, int] | None = None) -> Iterator[tuple[int, int]]:
    """Where the contents of each box at this path begin and end."""
    at, end = inside or (0, len(data))
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == path[0]:
            content = (at + 8, at + size)
            yield from _boxes(data, *path[1:], inside=content) if len(path) > 1 else [content]
        at += size
