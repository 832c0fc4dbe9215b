"""Subtitles cut anew from words: short enough to read, broken where the speaker pauses.

A model's own segments run to half a minute. The limits are the usual ones of broadcasters
(https://www.bbc.co.uk/accessibility/forproducts/guides/subtitles/): two lines, 42 characters, seven seconds.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_LINE_CHARACTERS: Final = 42
_LINES: Final = 2
_MOST_SECONDS: Final = 7.0
#: A cue is shown this long at least, where the next one leaves room, seconds.
_LEAST_SECONDS: Final = 1.0
#: Silence that ends a cue, seconds.
_PAUSE: Final = 1.0
_SENTENCE_END: Final = re.compile(r"""[.!?…。！？]["'”’)\]]*$""")
_CLAUSE_END: Final = re.compile(r"""[,;:，、；：—–]["'”’)\]]*$""")
#: A cue is ended at a clause only when it has this many characters.
_CLAUSE_CHARACTERS: Final = 50


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the model gives it (with its leading space, where its language has spaces), in seconds."""

    text: str
    start: float
    end: float
    probability: float
    #: Whether the model began a new segment with it.
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen from `start` to `end` (seconds)."""

    start: float
    end: float
    lines: tuple[str, ...]


def cut(words: Sequence[Word], words_per_line: int | None = None) -> tuple[Cue, ...]:
    """Words to cues that never overlap; `words_per_line` bounds the words of each line besides its characters."""
    groups = list(_groups(_fitting(words), words_per_line))
    cues: list[Cue] = []
    for index, group in enumerate(groups):
        following = groups[index + 1][0].start if index + 1 < len(groups) else float("inf")
        start = max(group[0].start, cues[-1].end if cues else 0.0)
        end = max(group[-1].end, min(start + _LEAST_SECONDS, following))
        end = max(min(end, start + _MOST_SECONDS), start + 0.001)
        cues.append(Cue(start, end, _lines(group, words_per_line)))
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


def _fitting(words: Iterable[Word]) -> Iterator[Word]:
    """Words without line breaks, none longer than a line (a web address may be)."""
    for word in words:
        text = re.sub(r"\s+", " ", word.text)
        if not text.strip():
            continue
        size = _LINE_CHARACTERS
        pieces = [text] if len(text.strip()) <= size else [text[i : i + size] for i in range(0, len(text), size)]
        step = (word.end - word.start) / len(pieces)
        for number, piece in enumerate(pieces):
            start = word.start + number * step
            yield Word(piece, start, start + step, word.probability, opens=word.opens and number == 0)


def _groups(words: Iterable[Word], words_per_line: int | None) -> Iterator[list[Word]]:
    """The words of each cue."""
    group: list[Word] = []
    for word in words:
        if group and (_ends_before(group, word) or len(_lines([*group, word], words_per_line)) > _LINES):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _ends_before(group: Sequence[Word], word: Word) -> bool:
    last = group[-1]
    said = last.text.rstrip()
    if word.start - last.end > _PAUSE or word.end - group[0].start > _MOST_SECONDS or _SENTENCE_END.search(said):
        return True
    if word.opens and word.text.strip()[:1].isupper():  # a sentence whose full stop the model forgot
        return True
    return bool(_CLAUSE_END.search(said)) and sum(len(one.text) for one in group) > _CLAUSE_CHARACTERS


def _lines(group: Sequence[Word], words_per_line: int | None) -> tuple[str, ...]:
    """Fill lines from the top; two lines are then balanced, the upper one the shorter."""
    lines = _filled(group, words_per_line, _LINE_CHARACTERS)
    if len(lines) == _LINES:
        for width in range(len("".join(lines)) // 2, _LINE_CHARACTERS):
            balanced = _filled(group, words_per_line, width)
            if len(balanced) == _LINES:
                return balanced
    return lines


def _filled(group: Sequence[Word], words_per_line: int | None, width: int) -> tuple[str, ...]:
    lines: list[str] = []
    line, count = "", 0
    for word in group:
        longer = (line + word.text).strip()
        if line and (len(longer) > width or (words_per_line is not None and count >= words_per_line)):
            lines.append(line)
            longer, count = word.text.strip(), 0
        line, count = longer, count + 1
    return (*lines, line)


def _clock(moment: float, point: str) -> str:
    milliseconds = round(moment * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _no_arrow(line: str) -> str:
    return line.replace("-->", "→")  # SubRip has no escapes, and players look for the arrow
