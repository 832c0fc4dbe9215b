"""A file's sound as Whisper wants it (16 kHz, mono, 16 bits) on disk, for a model that listens in another process."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame

from shared.errors import ResourceExhausted
from shared.media.audio import SAMPLE_RATE, Audio
from shared.media.resampling import Resampled, samples

_BUFFER_BYTES: Final = 256 * 1024


class SoundFile(Resampled):
    """An audio sink: 32 kB for a second, and none of it in memory."""

    def __init__(self, folder: Path, stream: int | None) -> None:
        """`stream` tells the sounds of one file apart: the number of an audio stream, or None for the best."""
        super().__init__("s16", "mono", SAMPLE_RATE, self._keep)
        self._file = (folder / _name(stream)).open("wb", buffering=_BUFFER_BYTES)

    def _keep(self, frame: AudioFrame) -> None:
        with _room():
            self._file.write(samples(frame).tobytes())

    def _be_silent(self, missing: int) -> None:
        # What is not written reads as zeros, and takes no room.
        with _room():
            self._file.seek(missing * np.dtype(np.int16).itemsize, os.SEEK_CUR)

    def close(self) -> None:
        """There is no more; another process may read it now."""
        with _room():
            self._file.truncate(self._file.tell())  # it may end in silence
            self._file.close()


def read_sound(folder: Path, stream: int | None) -> Audio:
    """What a SoundFile in this folder heard: mapped, and so read when it is needed."""
    path = folder / _name(stream)
    is_empty = not path.stat().st_size  # of which nothing can be mapped
    return Audio(np.empty(0, np.int16) if is_empty else np.memmap(path, np.int16, mode="r"))


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ResourceExhausted("no room left on the disk for the sound") from error
        raise


def _name(stream: int | None) -> str:
    return "best.s16" if stream is None else f"{stream}.s16"
