"""How loud a file is, by EBU R128: loudness.json.

https://tech.ebu.ch/publications/r128, measured by libavfilter's ebur128 (https://ffmpeg.org/ffmpeg-filters.html#ebur128-1).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from av.audio.frame import AudioFrame
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as AllPulled
from av.filter import Graph

from shared.media.artifacts import ArtifactFolder
from shared.media.resampling import Resampled

#: What the filter calculates with, whatever it is given.
_FORMAT: Final = "dbl"
_STEP_SECONDS: Final = 0.1
_WINDOW_SECONDS: Final = 0.4
#: Quieter blocks do not count (EBU R128's absolute gate), so no recording has this loudness.
_GATE_LUFS: Final = -70.0
#: Short-term loudness begins after 3 s; until then, and for some values more, the filter's range means nothing.
_RANGE_SECONDS: Final = 3.5
_PREFIX: Final = "lavfi.r128."


class LoudnessMeter:
    """An audio sink; holds a number for every 100 ms."""

    def __init__(self, folder: ArtifactFolder) -> None:
        self._folder = folder
        self._input: Resampled | None = None
        self._graph: _Graph | None = None
        self._silent_until: float | None = None
        self._momentary = array("f")
        self._totals: dict[str, str] = {}

    def add(self, frame: AudioFrame) -> None:
        if self._input is None:  # the first sound's layout and rate are those of the measurement
            self._input = Resampled(_FORMAT, frame.layout, frame.sample_rate, self._measure)
            self._graph = _Graph(frame)
        if self._silent_until is not None:
            self._input.fill(self._silent_until)
            self._silent_until = None
        self._input.add(frame)

    def fill(self, until: float) -> None:
        self._silent_until = until

    def finish(self) -> None:
        if self._input is not None:
            self._input.finish()
            self._measure(None)

    def _measure(self, frame: AudioFrame | None) -> None:
        assert self._graph is not None  # noqa: S101
        for metadata in self._graph.measure(frame):
            self._momentary.append(float(metadata[f"{_PREFIX}M"]))
            self._totals = metadata

    def write(self) -> dict[str, Any]:
        """Write loudness.json; answers the summary."""
        integrated = self._total("I")
        heard = integrated is not None and integrated > _GATE_LUFS
        peak = self._total("true_peak")
        seconds = len(self._momentary) * _STEP_SECONDS
        summary = {
            "integrated_lufs": integrated if heard else None,
            "range_lu": self._total("LRA") if heard and seconds >= _RANGE_SECONDS else None,
            "true_peak_dbtp": round(20 * math.log10(peak), 2) if peak else None,
        }
        momentary = [round(value, 1) for value in self._momentary]
        curve = {"step_s": _STEP_SECONDS, "window_s": _WINDOW_SECONDS, "lufs": momentary}
        self._folder.write_compact_json("loudness.json", {**summary, "momentary": curve})
        return {**summary, "max_momentary_lufs": max(momentary) if heard else None}

    def _total(self, name: str) -> float | None:
        value = self._totals.get(f"{_PREFIX}{name}")
        return None if value is None else float(value)


class _Graph:
    def __init__(self, first: AudioFrame) -> None:
        rate = first.sample_rate
        self._graph = Graph()  # kept, for its filters go with it
        self._source = self._graph.add_abuffer(
            sample_rate=rate, format=_FORMAT, layout=first.layout, time_base=Fraction(1, rate)
        )
        meter = self._graph.add("ebur128", "metadata=1:peak=true:framelog=quiet")
        self._sink = self._graph.add("abuffersink")
        self._graph.link_nodes(self._source, meter, self._sink).configure()

    def measure(self, frame: AudioFrame | None) -> Iterator[dict[str, str]]:
        """What the filter says of each 100 ms that are complete with this frame; None for the end."""
        if frame is not None:
            frame.pts = None
        self._source.push(frame)
        while True:
            try:
                metadata = self._sink.pull().metadata
            except (NothingYet, AllPulled):
                return
            if metadata:  # the last piece is shorter than 100 ms and has none
                yield metadata
