"""Where the storage stand-in keeps its objects: in memory where there is room, its disk is no part of the product.

Every record is a file of its own there, and on a slow disk 50 callers waited for nothing else.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the one place Linux has for files in memory
_PREFIX: Final = "nca-fanout-"
#: This much, and what is going to be uploaded, must fit four times over.
_ROOM_BYTES: Final = 2**30


@contextmanager
def storage_folder(otherwise: Path, *, upload_bytes: int = 0, memory: Path = _MEMORY) -> Iterator[Path]:
    """A folder in memory if there is room, else `otherwise`; it is removed at the end."""
    remove_leftovers(memory)
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free >= 4 * (_ROOM_BYTES + upload_bytes)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=memory)) if is_roomy else otherwise
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(memory: Path = _MEMORY) -> None:
    """Give back the memory of local clouds that were killed."""
    for folder in memory.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
