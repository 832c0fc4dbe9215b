"""The dead letters that are kept, as objects of the state bucket: dead-letters/<date>/<name>.json.

A letter's id is `<date>/<name>`, so that a listing is in the order of the days, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import ValidationError

from shared.errors import Unavailable
from shared.letters import OUTDATED, Discarded, KeptLetter
from shared.objects import Objects, StoredObject

_PREFIX: Final = "dead-letters/"
_SUFFIX: Final = ".json"
#: Races that one who discards may lose before asking to be tried again.
_RACES: Final = 5


class LetterBox:
    """Letters in one bucket. Every method raises what storage raises."""

    def __init__(self, objects: Objects, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    def keep(self, letter_id: str, letter: KeptLetter) -> bool:
        """Keep a letter; False when the very same one is kept already."""
        data = letter.model_dump_json().encode()
        return self._objects.write(self._bucket, _object(letter_id), data, if_generation=0) is not None

    def get(self, letter_id: str) -> KeptLetter | None:
        stored = self._objects.read(self._bucket, _object(letter_id))
        return _parsed(stored) if stored else None

    def is_replaced(self, letter_id: str) -> bool:
        """Was the job of an outdated letter lost later that day, so that there is one which says why?"""
        newer = letter_id.removesuffix(OUTDATED)
        return newer != letter_id and self.get(newer) is not None

    def ids(self, *, start: str | None = None, limit: int | None = None) -> Iterator[str]:
        """Ids in order, the oldest day first, from `start` (inclusive; a date or an id) on."""
        # With its ending: a name that another one begins with comes after that one.
        first = f"{_PREFIX}{start}{_SUFFIX if '/' in start else ''}" if start else None
        for name in self._objects.list(self._bucket, prefix=_PREFIX, start=first, limit=limit):
            yield name.removeprefix(_PREFIX).removesuffix(_SUFFIX)

    def discard(self, letter_id: str, word: Discarded) -> KeptLetter | None:
        """The letter with this word on it, or with that of whoever was first; None when there is no such letter."""
        for _ in range(_RACES):
            stored = self._objects.read(self._bucket, _object(letter_id))
            if stored is None:
                return None
            letter = _parsed(stored)
            if letter.discarded is not None:
                return letter
            marked = letter.model_copy(update={"discarded": word})
            data = marked.model_dump_json().encode()
            if self._objects.write(self._bucket, _object(letter_id), data, if_generation=stored.generation):
                return marked
        raise Unavailable("others write this letter, too: come again")


def _parsed(stored: StoredObject) -> KeptLetter:
    """One letter that does not parse must not hide the others."""
    try:
        return KeptLetter.model_validate_json(stored.data)
    except ValidationError:
        return KeptLetter(code="unreadable", reason="the kept letter does not parse", kept_at=stored.updated)


def _object(letter_id: str) -> str:
    return f"{_PREFIX}{letter_id}{_SUFFIX}"
