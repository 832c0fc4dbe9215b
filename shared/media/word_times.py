"""Back from a window's time to the files': whose each word is, and when it was said there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median
from typing import Final

from shared.media.audio import SAMPLE_RATE
from shared.media.packing import F, Run, Window
from shared.media.words import Word

_ROUND: Final = 3
#: The first and last word of a phrase are given the silence around them; so much longer than others may they be.
_LONGEST: Final = 2.0
#: No word is taken to be longer than this by nature, in seconds.
_USUAL_MOST: Final = 0.7


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a phrase lies in the window, in seconds, and what is added to find it in its file."""

    run: int
    start: float
    end: float
    shift: float

    def overlap(self, word: Word) -> float:
        """Seconds in common; below zero for the distance between."""
        return min(self.end, word.end) - max(self.start, word.start)


def words_by_run(window: Window[F], words: Sequence[Word]) -> list[list[Word]]:
    """The words of each run in seconds of its file, each inside the phrase that it has most time in common with."""
    places = [place for number, run in enumerate(window.runs) for place in _places(number, run)]
    longest = _longest(words)
    found: list[list[Word]] = [[] for _ in window.runs]
    before: _Place | None = None
    for word, after in zip_longest(words, words[1:]):
        place = max(places, key=lambda each: each.overlap(word))
        is_last = after is None or max(places, key=lambda each: each.overlap(after)) is not place
        start, end = max(word.start, place.start), min(word.end, place.end)
        if place is not before:
            start = max(start, end - longest)
        if is_last:
            end = min(end, start + longest)
        start, end = min(max(start, place.start), place.end), max(min(end, place.end), place.start)
        mine = found[place.run]
        begun = round(start + place.shift, _ROUND)
        mine.append(
            Word(word.text, begun, max(round(end + place.shift, _ROUND), begun), word.probability, opens=not mine)
        )
        before = place
    return found


def _places(number: int, run: Run[F]) -> list[_Place]:
    places, at = [], run.at
    for phrase in run.phrases:
        start, end = at / SAMPLE_RATE, (at + phrase.length) / SAMPLE_RATE
        places.append(_Place(number, start, end, (phrase.start - at) / SAMPLE_RATE))
        at += phrase.length
    return places


def _longest(words: Sequence[Word]) -> float:
    lengths = [word.end - word.start for word in words if word.end > word.start]
    return _LONGEST * min(median(lengths), _USUAL_MOST) if lengths else _LONGEST * _USUAL_MOST
