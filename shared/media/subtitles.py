"""Subtitles cut anew from words: short enough to read, broken where the speaker pauses, never across a cut.

A model's own segments run to half a minute. The limits are those of broadcasters and streaming services
(https://www.bbc.co.uk/accessibility/forproducts/guides/subtitles/,
https://partnerhelp.netflixstudios.com/hc/en-us/articles/217350977): two lines, 42 characters, seven seconds.
"""

from __future__ import annotations

import html
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.media.subtitle_lines import ends_clause, fitting, lines, reach, width
from shared.media.words import Word

_MOST_SECONDS: Final = 7.0
#: Silence that ends a cue, seconds.
_PAUSE: Final = 1.0
#: Characters a second that an adult reads with ease while watching, by the streaming services' guides (for English
#: they allow 20). People say 12 to 18: most cues keep it, and those that do not stay on in the pause behind them.
_READING_SPEED: Final = 17.0
#: A cue is shown this long at least, where the next one leaves room, seconds.
_LEAST_SECONDS: Final = 1.0
_TICK: Final = 0.001
#: What it costs to show a cue at all, to end it inside a sentence, inside a clause, to go on behind a sentence's end,
#: and to leave no time to read it.
_CUE, _TORN, _BROKEN, _MIXED, _HASTE = 1.0, 1.0, 4.0, 2.0, 8.0


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen from `start` to `end` (seconds)."""

    start: float
    end: float
    lines: tuple[str, ...]


def cut(words: Iterable[Word], words_per_line: int | None = None, cuts: Sequence[float] = ()) -> tuple[Cue, ...]:
    """Words in rising order to cues that never overlap.

    `words_per_line` bounds the words of each line besides its characters; `cuts` are the times at which shots begin,
    in rising order.
    """
    stretches = list(_stretches(fitting(words), cuts))
    groups = [group for stretch in stretches for group in _best(stretch, words_per_line)]
    cues: list[Cue] = []
    for number, group in enumerate(groups):
        following = groups[number + 1][0].start if number + 1 < len(groups) else float("inf")
        shot = _shot(group[0], cuts)
        start = max(group[0].start, cuts[shot - 1] if shot else 0.0, cues[-1].end if cues else 0.0)
        end = min(max(group[-1].end, min(start + _needed(group), following)), start + _MOST_SECONDS)
        # Behind words that fell together, a cue may have come to begin only after the next cut.
        later = bisect_right(cuts, start)
        end = min(max(end, start + _TICK), cuts[later] if later < len(cuts) else float("inf"))
        cues.append(Cue(start, end, lines(group, words_per_line)))
    return tuple(cues)


def srt(cues: Iterable[Cue]) -> str:
    """SubRip text: numbered cues, decimal commas."""
    blocks = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(map(_no_arrow, cue.lines)) + "\n"
        for number, cue in enumerate(cues, 1)
    )
    return "\n".join(blocks)


def webvtt(cues: Iterable[Cue]) -> str:
    """WebVTT text (https://www.w3.org/TR/webvtt1/), escaped: a header alone when nothing was said."""
    blocks = (
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
        + "\n".join(html.escape(line, quote=False) for line in cue.lines)
        + "\n"
        for cue in cues
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _stretches(words: Iterable[Word], cuts: Sequence[float]) -> Iterator[list[Word]]:
    """Words between two pauses or cuts."""
    stretch: list[Word] = []
    for word in words:
        if stretch and (word.start - stretch[-1].end > _PAUSE or _shot(word, cuts) != _shot(stretch[-1], cuts)):
            yield stretch
            stretch = []
        stretch.append(word)
    if stretch:
        yield stretch


def _shot(word: Word, cuts: Sequence[float]) -> int:
    """How many cuts come before the middle of the word."""
    return bisect_right(cuts, (word.start + word.end) / 2)


def _best(words: Sequence[Word], words_per_line: int | None) -> list[Sequence[Word]]:
    """The words of each cue, cut where it costs least: the shortest way over all ways to cut them."""
    ends = reach(words, words_per_line)
    least = [0.0] + [float("inf")] * len(words)
    came_from = [0] * (len(words) + 1)
    for start in range(len(words)):
        for end in range(start + 1, ends[start] + 1):
            if end > start + 1 and words[end - 1].end - words[start].start > _MOST_SECONDS:
                break
            cost = least[start] + _cost(words, start, end)
            if cost < least[end]:
                least[end], came_from[end] = cost, start
    groups: list[Sequence[Word]] = []
    end = len(words)
    while end:
        groups.append(words[came_from[end] : end])
        end = came_from[end]
    return groups[::-1]


def _cost(words: Sequence[Word], start: int, end: int) -> float:
    group = words[start:end]
    cost = _CUE + _MIXED * sum(word.ends_sentence for word in group[:-1])
    if end == len(words):
        return cost
    if not group[-1].ends_sentence and not _opens_sentence(words[end]):
        cost += _TORN if ends_clause(group[-1]) else _BROKEN
    needed = _needed(group)
    return cost + _HASTE * max(needed - (words[end].start - group[0].start), 0.0) / needed


def _opens_sentence(word: Word) -> bool:
    """Whether it begins a sentence although the model forgot the full stop before it."""
    return word.opens and word.text.strip()[:1].isupper()


def _needed(group: Sequence[Word]) -> float:
    """Seconds to read it."""
    return max(sum(width(word.text) for word in group) / _READING_SPEED, _LEAST_SECONDS)


def _clock(moment: float, point: str) -> str:
    milliseconds = round(moment * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _no_arrow(line: str) -> str:
    return line.replace("-->", "→")  # SubRip has no escapes, and players look for the arrow
