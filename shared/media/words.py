"""Words that were said, and when; sentences made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_SENTENCE_END: Final = re.compile(r"""[.!?…。！？]["'”’)\]]*$""")
#: Their full stop ends no sentence: it comes before a name.
_TITLES: Final = frozenset({"mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "no."})
#: Silence that ends a sentence, and the most that one may last without any, in seconds.
_PAUSE: Final = 1.0
_LONGEST: Final = 30.0


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the model gives it (with its leading space, where its language has spaces), in seconds."""

    text: str
    start: float
    end: float
    probability: float
    #: Whether it begins a stretch that the model heard by itself.
    opens: bool = False

    @property
    def ends_sentence(self) -> bool:
        """Whether a full stop or the like comes behind it."""
        text = self.text.strip()
        return bool(_SENTENCE_END.search(text)) and text.lower() not in _TITLES


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, or what was said between two pauses."""

    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        """In seconds from the start of the file."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """In seconds from the start of the file."""
        return self.words[-1].end

    @property
    def text(self) -> str:
        """Its words as they are written."""
        return "".join(word.text for word in self.words).strip()


def segments(words: Iterable[Word]) -> tuple[Segment, ...]:
    """Words in rising order, cut behind each sentence and in each pause."""
    found: list[list[Word]] = []
    for word in words:
        if not found or _is_over(found[-1], word):
            found.append([])
        found[-1].append(word)
    return tuple(Segment(tuple(each)) for each in found)


def _is_over(said: Sequence[Word], word: Word) -> bool:
    last = said[-1]
    return last.ends_sentence or word.start - last.end > _PAUSE or word.end - said[0].start > _LONGEST
