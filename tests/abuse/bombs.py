"""Small files that claim to be huge: pictures, sounds, streams, tags, chapters and boxes without end."""

from __future__ import annotations

import struct
import zlib
from functools import reduce


def png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    picture = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02L\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + picture * 5 + b";"


def wav(rate: int, channels: int) -> bytes:
    sound = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 % 2**32, channels * 2 % 2**16, 16)
    return (
        b"RIFF" + struct.pack("<I", 436) + b"WAVEfmt \x10\0\0\0" + sound + b"data" + struct.pack("<I", 400) + bytes(400)
    )


def au(rate: int, channels: int) -> bytes:
    return b".snd" + struct.pack(">IIIII", 24, 400, 3, rate, channels) + bytes(400)


def id3(length: int) -> bytes:
    """An MP3 whose title is so long."""
    frame = b"TIT2" + struct.pack(">I", length + 1) + b"\0\0\x03" + b"A" * length
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + (b"\xff\xfb\x90\x64" + bytes(413)) * 40


def mov(*, tracks: int = 1, codec: bytes = b"rle ", width: int = 64, height: int = 48, title: int = 0) -> bytes:
    films = [_track(number + 1, codec, width, height) for number in range(tracks)]
    said = _box(b"data", struct.pack(">II", 1, 0), b"A" * title)
    handler = _box(b"hdlr", bytes(8) + b"mdir" + bytes(13))
    tags = _box(b"udta", _box(b"meta", bytes(4), handler, _box(b"ilst", _box(b"\xa9nam", said))))
    header = _box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 25, 10) + bytes(80))
    return _QUICKTIME + _box(b"mdat", bytes(300)) + _box(b"moov", header, *films, tags)


def nested_mov(depth: int) -> bytes:
    return _QUICKTIME + reduce(lambda inside, _: _box(b"moov", inside), range(depth), b"")


def empty_boxes(count: int) -> bytes:
    return _QUICKTIME + _box(b"free") * count


def mkv(*, tracks: int = 1, chapters: int = 0, attachments: int = 0, depth: int = 0, language: int = 3) -> bytes:
    size = _uint(b"\xb0", 64) + _uint(b"\xba", 48)
    video = _uint(b"\x83", 1) + _ebml(b"\x86", b"V_UNCOMPRESSED") + _ebml(b"\xe0", size)
    spoken = _ebml(b"\x22\xb5\x9c", b"a" * language)
    entries = [_ebml(b"\xae", _uint(b"\xd7", n + 1) + _uint(b"s\xc5", n + 1) + spoken + video) for n in range(tracks)]
    atoms = [_ebml(b"\xb6", _uint(b"s\xc4", n + 1) + _uint(b"\x91", n * 1000) + _TITLE) for n in range(chapters)]
    atoms.append(reduce(lambda inside, _: _ebml(b"\xb6", inside), range(depth), b""))
    file = _ebml(b"Fn", b"f") + _ebml(b"F`", b"font/ttf") + _ebml(b"F\\", b"x")
    files = [_ebml(b"a\xa7", file + _uint(b"F\xae", n + 1)) for n in range(attachments)]
    body = _ebml(b"\x15I\xa9f", _uint(b"*\xd7\xb1", 1_000_000) + _ebml(b"D\x89", struct.pack(">d", 1000.0)))
    body += _ebml(b"\x16T\xaek", *entries)
    body += _ebml(b"\x10C\xa7p", _ebml(b"E\xb9", *atoms)) if len(atoms) > 1 or depth else b""
    body += _ebml(b"\x19A\xa4i", *files) if files else b""
    body += _ebml(b"\x1fC\xb6u", _uint(b"\xe7", 0), _ebml(b"\xa3", b"\x81\0\0\x80" + bytes(64 * 48 * 3)))
    head = _uint(b"B\x86", 1) + _ebml(b"B\x82", b"matroska") + _uint(b"B\x87", 4) + _uint(b"B\x85", 2)
    return _ebml(b"\x1aE\xdf\xa3", head) + _ebml(b"\x18S\x80g", body)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


_QUICKTIME = _box(b"ftyp", b"qt  " + bytes(8))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _track(number: int, codec: bytes, width: int, height: int) -> bytes:
    """Ten pictures of 20 bytes each."""
    look = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 72 << 16, 72 << 16, 0, 1, 24, -1)
    table = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">II", 0, 1), _box(codec, look)),
        _box(b"stts", struct.pack(">IIII", 0, 1, 10, 1)),
        _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 10, 1)),
        _box(b"stsz", struct.pack(">III", 0, 20, 10)),
        _box(b"stco", struct.pack(">III", 0, 1, 40)),
    )
    inside = _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1), _box(b"url ", struct.pack(">I", 1))))
    media = _box(
        b"mdia",
        _box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 25, 10, 0, 0)),
        _box(b"hdlr", bytes(4) + b"mhlrvide" + bytes(13)),
        _box(b"minf", _box(b"vmhd", bytes(12)), inside, table),
    )
    header = struct.pack(">IIIIII", 7, 0, 0, number, 0, 10) + bytes(52) + struct.pack(">HHHH", width, 0, height, 0)
    return _box(b"trak", _box(b"tkhd", header), media)


def _ebml(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return name + (1 << 56 | len(body)).to_bytes(8) + body


def _uint(name: bytes, value: int) -> bytes:
    return _ebml(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8)))


_TITLE = _ebml(b"\x80", _ebml(b"\x85", b"chapter"))
