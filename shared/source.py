"""Where a recording's bytes are: in a local file, or in an object that is read in place."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import JobError
from shared.ranged_file import Blocks, RangedFile


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object somewhere else, of which any part can be had."""

    #: Bytes.
    size: int
    #: So many bytes from a start on; fewer at the end only. What it raises ends whatever reads.
    read_range: Callable[[int, int], bytes]
    #: What was read of it lately, for all who open it.
    blocks: Blocks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", Blocks(self.size, self.read_range))


class WholeNeeded(JobError):
    """Nothing less than all of a remote object will do: it is to be fetched, which checks it, and tried as a file."""

    code = "whole_needed"


Source = Path | RemoteObject


def size_of(source: Source) -> int:
    """Bytes."""
    return source.size if isinstance(source, RemoteObject) else source.stat().st_size


def open_source(source: Source) -> io.BufferedIOBase:
    """The source as a seekable file; a context manager."""
    if isinstance(source, RemoteObject):
        return RangedFile(source.blocks)
    return source.open("rb")
