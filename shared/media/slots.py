"""When a picture could be taken: for each that is wanted the moments to try, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.media.shots import Shot

#: Seconds from the start of the file.
Slot = tuple[float, ...]

#: Where in its part of the film a picture is looked for: in the middle, later on, else before.
_FRACTIONS: Final = (0.5, 0.65, 0.8, 0.35, 0.2)
_KEYFRAMES: Final = 3
#: As many pictures as are made in any other way.
_MOST: Final = 100


def spread(count: int, span: tuple[float, float]) -> list[Slot]:
    """Equal parts of the video's span."""
    start, end = span
    step = (end - start) / count
    return [tuple(start + step * (index + fraction) for fraction in _FRACTIONS) for index in range(count)]


def of_shots(shots: Sequence[Shot], keyframes: Sequence[float]) -> list[Slot]:
    """One for each shot, of the longest ones where there are too many: keyframes near the middle, or the middle.

    Keyframes first, for to show another frame all those since its keyframe have to be decoded.
    """
    longest = sorted(shots, key=lambda shot: shot.start - shot.end)[:_MOST]
    slots = []
    for shot in sorted(longest, key=lambda shot: shot.start):
        middle = (shot.start + shot.end) / 2
        inside = [moment for moment in keyframes if shot.start <= moment < shot.end]
        nearest = sorted(inside, key=lambda moment: abs(moment - middle))[:_KEYFRAMES]
        slots.append((*nearest, middle))
    return slots
