"""The shape of the sound: waveform.json, as audiowaveform writes it, and waveform.png.

https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md (version 2, 16 bits, one channel: all mixed).
"""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from shared.media.artifacts import ArtifactFolder
from shared.media.resampling import Resampled, samples
from shared.media.waveform_drawing import draw
from shared.operations import Waveform

#: Samples are gathered and reduced so many points at a time.
_BATCH: Final = 64


class WaveformPlotter(Resampled):
    """An audio sink; holds four bytes for each point."""

    def __init__(self, operation: Waveform, rate: int, folder: ArtifactFolder) -> None:
        super().__init__("s16", "mono", rate, self._gather)
        self._operation = operation
        self._folder = folder
        self._samples_per_pixel = max(rate // operation.pixels_per_second, 1)
        self._waiting: list[NDArray[np.int16]] = []
        self._count = 0
        self._points = array("h")

    def _gather(self, frame: AudioFrame) -> None:
        self._waiting.append(samples(frame).copy())
        self._count += frame.samples
        if self._count >= _BATCH * self._samples_per_pixel:
            self._reduce()

    def _reduce(self) -> None:
        """Turn whole points' samples into points."""
        heard = np.concatenate(self._waiting)
        whole = len(heard) // self._samples_per_pixel * self._samples_per_pixel
        self._append(heard[:whole].reshape(-1, self._samples_per_pixel))
        self._waiting, self._count = [heard[whole:]], len(heard) - whole

    def _append(self, rows: NDArray[np.int16]) -> None:
        extremes = np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1)
        self._points.frombytes(extremes.tobytes())

    def write(self) -> dict[str, Any]:
        """Write both files; answers the summary."""
        if self._count:
            self._reduce()
            if self._count:
                self._append(self._waiting[0].reshape(1, -1))
        header = {
            "version": 2,
            "channels": 1,
            "sample_rate": self._rate,
            "samples_per_pixel": self._samples_per_pixel,
            "bits": 16,
            "length": len(self._points) // 2,
        }
        self._folder.write_compact_json("waveform.json", {**header, "data": self._points.tolist()})
        points = np.frombuffer(self._points, np.int16).reshape(-1, 2)
        size = (self._operation.width, self._operation.height)
        self._folder.write_bytes("waveform.png", draw(points, size), "image/png")
        return {key: header[key] for key in ("sample_rate", "samples_per_pixel", "length")} | {
            "width": size[0],
            "height": size[1],
        }
