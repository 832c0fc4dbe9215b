"""The smallest media there are: a tenth of a second of sound, a second of 64x36, and what is no media."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.media import make_video


@dataclass(frozen=True)
class Media:
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        make_video(folder / "tiny.mp4", seconds=1, size=(64, 36), fps=5)
        (folder / "text.mp4").write_text("This is no video.\n" * 100)
        return cls(folder)

    @property
    def mp4(self) -> Path:
        return self.folder / "tiny.mp4"

    @property
    def text(self) -> Path:
        return self.folder / "text.mp4"

    def wav(self, number: int) -> Path:
        """Silence, of which no two are the same bytes."""
        path = self.folder / f"{number}.wav"
        data = struct.pack("<h", number % 30_000) * 800
        header = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt "
        header += struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", len(data))
        path.write_bytes(header + data)
        return path

    def long_wav(self, name: str, size: int) -> Path:
        """A recording of `size` bytes, silent but for its beginning."""
        path = self.folder / f"{name}.wav"
        path.write_bytes(self.wav(0).read_bytes().ljust(size, b"\0"))
        return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
