"""A file that lies somewhere else and is read in ranges.

Reading that jumps fetches little each time; reading that goes on fetches twice as much each time, so that going through
the whole file takes few requests.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

BLOCK_BYTES: Final = 64 * 1024
#: Blocks that one request fetches: after a jump, and at most.
_FIRST_BLOCKS: Final = 2
_MOST_BLOCKS: Final = 128
#: Of one call to storage.
MOST_BYTES: Final = _MOST_BLOCKS * BLOCK_BYTES
#: Blocks kept: the least recently used one goes first.
_KEPT_BLOCKS: Final = 512
#: Places at which reading may go on: a file's sound and pictures can lie far from each other.
_READERS: Final = 4


class Blocks:
    """The last 32 MiB that were fetched of one file."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        """`fetch` answers so many bytes from a start on; what it raises comes out of `get`."""
        self.size = size
        self._fetch = fetch
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        #: By the block at which some reading would go on: how many blocks to fetch then.
        self._expected: OrderedDict[int, int] = OrderedDict()

    def get(self, index: int, *, wanted: int) -> bytes:
        """One block; so many, from this one on, will be wanted at once."""
        if index not in self._kept:
            self._load(index, wanted)
        self._kept.move_to_end(index)
        return self._kept[index]

    def _load(self, index: int, wanted: int) -> None:
        planned = self._expected.pop(index, _FIRST_BLOCKS)
        end = min(index + min(max(planned, wanted), _MOST_BLOCKS), -(-self.size // BLOCK_BYTES))
        end = next((known for known in range(index + 1, end) if known in self._kept), end)
        start = index * BLOCK_BYTES
        data = self._fetch(start, min(end * BLOCK_BYTES, self.size) - start)
        for number in range(index, end):
            offset = (number - index) * BLOCK_BYTES
            self._kept[number] = data[offset : offset + BLOCK_BYTES]
        self._expected[end] = min(planned * 2, _MOST_BLOCKS)
        while len(self._expected) > _READERS:
            self._expected.popitem(last=False)
        while len(self._kept) > _KEPT_BLOCKS:
            self._kept.popitem(last=False)


class RangedFile(io.BufferedIOBase):
    """Read-only and seekable; a place in what others, opened on the same blocks, may have fetched already."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._size = blocks.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        parts = []
        while self._at < end:
            index, offset = divmod(self._at, BLOCK_BYTES)
            block = self._blocks.get(index, wanted=-(-end // BLOCK_BYTES) - index)
            part = block[offset : offset + end - self._at]
            parts.append(part)
            self._at += len(part)
            if not part:  # the object is shorter than was said
                break
        return b"".join(parts)
