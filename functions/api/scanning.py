"""Listings that are looked through one page at a time, with a cap on what one call reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from shared.errors import RecordUnreadable
from shared.services import Services

_log = logging.getLogger(__name__)

Found = TypeVar("Found")

_CHUNK: Final = 50


@dataclass(frozen=True, slots=True)
class Scan(Generic[Found]):
    """The first `most` of these names; list one more than that, and it is known where another call goes on."""

    names: Sequence[str]
    look: Callable[[str], Found | None]
    most: int

    @property
    def following(self) -> str | None:
        """Where the next call goes on, when this one has come to its end."""
        return self.names[self.most] if len(self.names) > self.most else None

    def chunks(self, services: Services) -> Iterator[Sequence[tuple[str, Found | None]]]:
        """Each name with what it stands for, in order; so many are looked at side by side."""
        for first in range(0, min(len(self.names), self.most), _CHUNK):
            chunk = self.names[first : min(first + _CHUNK, self.most)]
            yield list(zip(chunk, services.side_by_side.map(self._looked, chunk), strict=True))

    def _looked(self, name: str) -> Found | None:
        try:
            return self.look(name)
        except RecordUnreadable as error:
            # One record must not hide all others.
            _log.error("left out: %s", error.message, extra={"event": "record.unreadable"})
            return None

    def page(
        self, limit: int, is_wanted: Callable[[Found], bool], services: Services
    ) -> tuple[Sequence[Found], str | None]:
        """The first `limit` that are wanted, and where the next page begins."""
        page: list[Found] = []
        for chunk in self.chunks(services):
            for name, found in chunk:
                if len(page) == limit:
                    return page, name
                if found is not None and is_wanted(found):
                    page.append(found)
        return page, self.following
