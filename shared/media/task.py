"""What a decoding child is told, and where it begins: light to import, for the parent names it, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from shared.media.limits import DecodeLimits
from shared.operations import Contact, Fingerprint, Operation, Shots, Thumbnails


@dataclass(frozen=True, slots=True)
class Task:
    """One job's part that is done in a child."""

    #: A local file, or the size of a remote one, of which the parent gives the bytes.
    source: Path | int
    operations: Sequence[Operation]
    #: For artifacts.
    folder: Path
    #: For what the parent goes on with.
    scratch: Path
    #: The folder of the small models.
    weights: Path | None
    limits: DecodeLimits
    #: That a video decoder may use.
    threads: int
    #: Whether to try the GPU's own decoder.
    hardware: bool = False


def goes_through_pictures(operations: Sequence[Operation]) -> bool:
    """Whether a film is seen from end to end, whatever it is: then a GPU's decoder is worth being set up.

    What its driver reserves leaves no room for a limit of memory, which a job that glances or listens keeps.
    """
    return any(
        isinstance(operation, Shots | Fingerprint | Contact)
        or (isinstance(operation, Thumbnails) and operation.per == "shot")
        for operation in operations
    )


def works_on_gpu(operations: Sequence[Operation]) -> bool:
    """Whether a network looks at pictures: it needs the GPU's driver, whatever decodes them."""
    return any(isinstance(operation, Shots) and operation.model != "luma" for operation in operations)


#: What a child does first.
Begin = Callable[[Connection, Connection, Task], None]


def run(parent: Connection, words: Connection, task: Task) -> None:
    """The life of a decoding child; `words` gets what libraries write to stderr."""
    # Not at the top: the parent needs none of it, and in the fork server it is there already.
    from shared.media.decoding_child import work

    work(parent, words, task)
