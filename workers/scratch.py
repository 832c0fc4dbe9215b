"""A folder of a worker's own for temporary files, on a disk that outlives its process, as a pod's does."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path


def begin_in(folder: Path) -> None:
    """Have temporary files made in `folder`, without what a process that was killed has left there.

    Sources of several restarts would fill the pod's disk, and the pod be evicted with all it works on.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
