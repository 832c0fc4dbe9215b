"""Why libav could not open a file, in words a person can use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_HEAD_BYTES: Final = 4096
_BOX_HEADER: Final = 8


def flaw(source: Path) -> str | None:
    """The likely reason a file cannot be opened, or None when nothing obvious is wrong."""
    with source.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head[4:8] == b"ftyp":
            return _mp4_flaw(file, source.stat().st_size)
    if head.lstrip()[:7].upper() == b"#EXTM3U":
        return "the file is a playlist, not a recording"
    return "the file is text, not media" if _is_text(head) else None


def _mp4_flaw(file: BinaryIO, size: int) -> str | None:
    has_index = False
    for kind, end in _boxes(file, size):
        if end > size:
            cut = f"the file was cut off: {end - size} bytes are missing"
            return cut if has_index else f"{cut}, and with them its index (moov atom not found)"
        has_index = has_index or kind == b"moov"
    return None if has_index else "the file has no index (moov atom not found): its recording never ended"


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
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


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not merely a character cut at the end
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char.isspace() for char in text)
