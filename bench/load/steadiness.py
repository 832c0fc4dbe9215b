"""Does a process grow? The slope of a straight line through what it held, the time of warming up left out."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, linear_regression
from typing import Final

from bench.load.watch import Moment
from bench.report import Figure

#: Caches fill and pools grow in the first part of a run.
_WARM_UP: Final = 1 / 3
#: A line through less says nothing, in seconds: then a slope is told and not judged.
_TELLING_SECONDS: Final = 600.0
#: A process may grow by so much in an hour: a tenth of itself, or so many MB; and so many descriptors.
_SHARE, _MEMORY, _DESCRIPTORS = 0.1, 10.0, 6.0
#: These keep what they were ever given, by design, and exist on this machine only.
_EMULATORS: Final = frozenset({"pubsub", "storage"})


def steadiness(moments: Sequence[Moment]) -> list[Figure]:
    """Memory and descriptors an hour, of each process that was there throughout."""
    figures: list[Figure] = []
    settled = moments[int(len(moments) * _WARM_UP) :]
    if len(settled) < 3:
        return figures
    hours = [moment.at / 3600 for moment in settled]
    is_telling = settled[-1].at - settled[0].at >= _TELLING_SECONDS
    for name in sorted(set.intersection(*(set(moment.held) for moment in settled))):
        memory = [moment.held[name].memory for moment in settled]
        descriptors = [float(moment.held[name].descriptors) for moment in settled]
        judged = is_telling and name not in _EMULATORS
        for what, values, unit, bound in (
            ("memory", memory, "MB/h", max(_MEMORY, _SHARE * fmean(memory))),
            ("descriptors", descriptors, "1/h", _DESCRIPTORS),
        ):
            slope = linear_regression(hours, values).slope
            label = f"soak: {name}, {what} (mean {fmean(values):.0f})"
            figures.append(Figure(label, slope, unit, "lower", bound if judged else None))
    return figures
