"""How loud a file is, by EBU R128: loudness.json.

https://tech.ebu.ch/publications/r128, measured by libavfilter's ebur128 (https://ffmpeg.org/ffmpeg-filters.html#ebur128-1).
"""

from __future__ import annotations

import math
from array import array
from typing import Any, Final

from shared.media.artifacts import ArtifactFolder
from shared.media.metering import Metered

#: What the filter calculates with, whatever it is given.
_FORMAT: Final = "dbl"
_STEPS_A_SECOND: Final = 10
_WINDOW_SECONDS: Final = 0.4
#: Quieter blocks do not count (EBU R128's absolute gate), so no recording has this loudness.
_GATE_LUFS: Final = -70.0
#: Short-term loudness begins after 3 s; until then, and for some values more, the filter's range means nothing.
_RANGE_SECONDS: Final = 3.5
_PREFIX: Final = "lavfi.r128."

#: A peak that no sound has, as a share of full scale.
_LOUDEST: Final = 1e5


class LoudnessMeter(Metered):
    """An audio sink; holds a number for every 100 ms."""

    def __init__(self, folder: ArtifactFolder) -> None:
        super().__init__("ebur128", "metadata=1:peak=true:framelog=quiet", [_FORMAT], self._note, _STEPS_A_SECOND)
        self._folder = folder
        self._momentary = array("f")
        self._totals: dict[str, str] = {}
        self._peak = 0.0

    def _note(self, metadata: dict[str, str]) -> None:
        self._peak = float(metadata[f"{_PREFIX}true_peak"])
        if len(self._momentary) < self.whole_steps:  # else silence is in it, which changes all but the peak
            self._momentary.append(float(metadata[f"{_PREFIX}M"]))
            self._totals = metadata

    def write(self) -> dict[str, Any]:
        """Write loudness.json; answers the summary."""
        integrated = self._total("I")
        heard = self._is_measured and integrated > _GATE_LUFS
        seconds = len(self._momentary) / _STEPS_A_SECOND
        summary = {
            "integrated_lufs": integrated if heard else None,
            "range_lu": self._total("LRA") if heard and seconds >= _RANGE_SECONDS else None,
            "true_peak_dbtp": _number(20 * math.log10(self._peak), 2) if self._peak > 0 else None,
        }
        momentary = [_number(value, 1) for value in self._momentary]
        curve = {"step_s": 1 / _STEPS_A_SECOND, "window_s": _WINDOW_SECONDS, "lufs": momentary}
        self._folder.write_compact_json("loudness.json", {**summary, "momentary": curve})
        return {**summary, "max_momentary_lufs": round(max(self._momentary), 1) if heard else None}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What else there is to say."""
        return () if self._is_measured else ("the sound is louder in places than can be measured",)

    @property
    def _is_measured(self) -> bool:
        """Whether the filter kept its head: sums that overflow leave it without a number to the end.

        No number for a moment of silence after sound is its rounding alone: the power of that comes out below nothing.
        """
        return self._peak < _LOUDEST and math.inf not in self._momentary

    def _total(self, name: str) -> float:
        """NaN for what was not measured."""
        return float(self._totals.get(f"{_PREFIX}{name}", math.nan))


def _number(value: float, digits: int) -> float | None:
    """Rounded; JSON has no word for what is no number."""
    return round(value, digits) if math.isfinite(value) else None
