"""What a file says of itself in free text, as far as a record can hold it.

A tag may be as long as its file, and a file may have a million of them; what is cut ends in "…".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Characters: of one name or text, and of all that one file says.
_LONGEST: Final = 8192
_MOST: Final = 256 * 1024


class Tags:
    """The free text of one file; what comes after the first quarter of a million characters is left out."""

    def __init__(self) -> None:
        self._left = _MOST
        #: Whether anything was cut or left out.
        self.are_cut = False

    def of(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """The tags of the file, or of one stream or chapter of it."""
        kept: dict[str, str] = {}
        for name, text in metadata.items():
            if self._left <= 0:
                self.are_cut = True
                break
            kept[self._fit(name)] = self._fit(text)
        return kept

    def _fit(self, text: str) -> str:
        most = min(_LONGEST, max(self._left, 1))
        self._left -= min(len(text), most)
        if len(text) <= most:
            return text
        self.are_cut = True
        return text[: most - 1] + "…"
