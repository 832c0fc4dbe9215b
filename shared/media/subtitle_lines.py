"""One or two lines of a subtitle: what fits, and where to break it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from shared.media.words import Word

CHARACTERS: Final = 42
_CLAUSE_END: Final = re.compile(r"""[,;:.!?…，、；：。！？—–]["'”’)\]]*$""")
#: What a break costs, in characters of difference between the lines: inside a clause, and behind a short word that
#: belongs to the next one.
_INSIDE, _SHORT_WORD = 8, 6
_SHORT: Final = 3


def fitting(words: Iterable[Word]) -> Iterator[Word]:
    """Words without line breaks, each with one space before it or none, none wider than a line (an address may be)."""
    for word in words:
        text = re.sub(r"\s+", " ", word.text).rstrip()
        if not text.strip():
            continue
        pieces = _pieces(text)
        step = (word.end - word.start) / len(pieces)
        for number, piece in enumerate(pieces):
            start = word.start + number * step
            end = word.end if number == len(pieces) - 1 else start + step
            yield replace(word, text=piece, start=start, end=end, opens=word.opens and number == 0)


def ends_clause(word: Word) -> bool:
    """Whether one may breathe behind it."""
    return bool(_CLAUSE_END.search(word.text))


def width(text: str) -> int:
    """In columns: Chinese and the like fill two, as they are read half as fast."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def reach(words: Sequence[Word], words_per_line: int | None) -> list[int]:
    """For each word the index behind the last one that still fits into a cue which begins with it."""
    ends: list[int] = []
    end = 0
    for start in range(len(words)):
        end = max(end, start + 1)
        while end < len(words) and _line(words[start : end + 1], words_per_line) is not None:
            end += 1
        ends.append(end)
    return [ends[end] if end < len(words) else end for end in ends]


def lines(words: Sequence[Word], words_per_line: int | None) -> tuple[str, ...]:
    """The words on one line, else on two of like length, the upper one the shorter. For words within `reach`."""
    whole = _line(words, words_per_line)
    if whole is not None:
        return (whole,)
    ways = [(words[:index], words[index:]) for index in range(1, len(words))]
    texts = [(upper[-1], _line(upper, words_per_line), _line(lower, words_per_line)) for upper, lower in ways]
    fits = [(_cost(last, upper, lower), upper, lower) for last, upper, lower in texts if upper and lower]
    _, upper, lower = min(fits)
    return upper, lower


def _cost(last: Word, upper: str, lower: str) -> float:
    longer = width(upper) - width(lower)
    cost = abs(longer) + (0.5 if longer > 0 else 0.0)
    if not ends_clause(last):
        cost += _INSIDE + (_SHORT_WORD if len(last.text.strip()) <= _SHORT else 0)
    return cost


def _line(words: Sequence[Word], words_per_line: int | None) -> str | None:
    if words_per_line is not None and len(words) > words_per_line:
        return None
    text = "".join(word.text for word in words).strip()
    return text if width(text) <= CHARACTERS else None


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for character in text:
        if width((pieces[-1] + character).strip()) > CHARACTERS:
            pieces.append("")
        pieces[-1] += character
    return pieces
