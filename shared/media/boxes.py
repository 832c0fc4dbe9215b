"""Why libav could not open a file, in words a person can use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

_HEAD_BYTES: Final = 4096
_BOX_HEADER: Final = 8
#: Sizes from here on are what programs write that stream to a pipe and cannot know.
UNKNOWN_RIFF_SIZE: Final = 0x7FFF_0000
_EBML: Final = bytes.fromhex("1a45dfa3")
_SEGMENT: Final = bytes.fromhex("18538067")


def flaw(file: io.BufferedIOBase, size: int) -> str | None:
    """Why a file of `size` bytes cannot be opened, or what of it is missing by its own account.

    None when nothing obvious is wrong.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if head[4:8] == b"ftyp":
        return _mp4_flaw(file, size)
    if (stated := _riff_size(head) or _matroska_size(head)) and stated > size:
        return f"the file was cut off: {stated - size} bytes are missing"
    if head.lstrip()[:7].upper() == b"#EXTM3U":
        return "the file is a playlist, not a recording"
    return "the file is text, not media" if _is_text(head) else None


def _mp4_flaw(file: io.BufferedIOBase, size: int) -> str | None:
    has_index = False
    for kind, end in _boxes(file, size):
        if end > size:
            cut = f"the file was cut off: {end - size} bytes are missing"
            return cut if has_index else f"{cut}, and with them its index (moov atom not found)"
        has_index = has_index or kind == b"moov"
    return None if has_index else "the file has no index (moov atom not found): its recording never ended"


def _boxes(file: io.BufferedIOBase, size: int) -> Iterator[tuple[bytes, int]]:
    """Each top-level box of an MP4 or MOV file: its kind, and where it should end (ISO/IEC 14496-12, 4.2)."""
    start = 0
    while start + _BOX_HEADER <= size:
        file.seek(start)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        end = start + length if length else size
        yield header[4:8], end
        if end < start + _BOX_HEADER:
            return
        start = end


def _riff_size(head: bytes) -> int | None:
    """The size that a WAV or AVI file should have; None where it was left open."""
    stated = int.from_bytes(head[4:8], "little")
    return stated + _BOX_HEADER if head[:4] == b"RIFF" and 0 < stated < UNKNOWN_RIFF_SIZE else None


def _matroska_size(head: bytes) -> int | None:
    """The same of a Matroska or WebM file: where its segment ends (RFC 8794, 6; RFC 9559, 5.1)."""
    if head[:4] != _EBML:
        return None
    at = head.find(_SEGMENT) + len(_SEGMENT)
    width = 9 - head[at].bit_length() if len(_SEGMENT) <= at < len(head) else 9
    if width > 8:
        return None
    value_bits = 7 * width
    stated = int.from_bytes(head[at : at + width], "big") & ((1 << value_bits) - 1)
    return None if stated == (1 << value_bits) - 1 else at + width + stated


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not merely a character cut at the end
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char.isspace() for char in text)
