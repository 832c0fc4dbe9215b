"""The files a job leaves behind."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from shared.errors import ResourceExhausted
from shared.processor import Produced

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class ArtifactFolder:
    """Writes artifacts below one folder and remembers them in order."""

    def __init__(self, folder: Path, written: Iterable[Produced] = ()) -> None:
        """`written` is what another process has put there already."""
        self._folder = folder
        self._written = {made.name: made for made in written}

    @property
    def written(self) -> tuple[Produced, ...]:
        """All artifacts so far, each once: one that is written again takes the place of the first."""
        return tuple(self._written.values())

    def write_bytes(self, name: str, data: bytes, content_type: str) -> None:
        """Write one file; raises ResourceExhausted when the disk is full."""
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise ResourceExhausted(f"no room left on the disk for {name}") from error
            raise
        self._written[name] = Produced(name, content_type)

    def read_bytes(self, name: str) -> bytes | None:
        """What was written under this name; None where nothing was."""
        return (self._folder / name).read_bytes() if name in self._written else None

    def write_text(self, name: str, text: str, content_type: str) -> None:
        """Write one UTF-8 text file."""
        self.write_bytes(name, text.encode(), content_type)

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON file, for programs and for people."""
        self.write_text(
            name, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n", "application/json"
        )

    def write_compact_json(self, name: str, value: Any) -> None:
        """Write one JSON file of many numbers, for programs."""
        self.write_text(name, json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n", "application/json")
