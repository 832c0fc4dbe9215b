"""What has come of a download so far: counted, checked, and worth resuming while more comes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, BinaryIO, Final

import google_crc32c

from shared.errors import Unavailable

#: A download that breaks off is resumed until nothing has come for so many seconds.
PATIENCE_SECONDS: Final = 60.0


class Received:
    """A file that storage's client writes a download to.

    The client compares checksums only where one answer brought the whole; what it resumed it takes as it is.
    """

    def __init__(
        self, file: BinaryIO, answer_headers: Callable[[], Mapping[str, str]], on_bytes: Callable[[int], None] | None
    ) -> None:
        self._file = file
        self._answer_headers = answer_headers
        self._on_bytes = on_bytes or (lambda received: None)
        self._checksum = google_crc32c.Checksum()
        self._stored: str | None = None
        self._heard_at = monotonic()

    def write(self, data: bytes) -> int:
        if self._file.tell() == 0:
            # That of the whole object; the answer to a part need not have it.
            self._stored = _crc32c(self._answer_headers())
        written = self._file.write(data)
        self._checksum.update(data)
        self._heard_at = monotonic()
        self._on_bytes(self._file.tell())
        return written

    def broke_off(self, error: Exception) -> None:
        """Before each try to resume: raises Unavailable when none helps, and whatever the listener raises to stop."""
        self._on_bytes(self._file.tell())
        if monotonic() - self._heard_at >= PATIENCE_SECONDS:
            raise Unavailable(f"a download stands still: {type(error).__name__}") from error

    def check(self) -> None:
        """Raises Unavailable unless it is what is stored, as far as the answer told that."""
        if self._stored is not None and self._stored != base64.b64encode(self._checksum.digest()).decode():
            raise Unavailable("what came is not what is stored: its checksum differs")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _crc32c(headers: Mapping[str, str]) -> str | None:
    """Of `x-goog-hash: crc32c=…, md5=…`; the values are base64."""
    hashes = (part.strip().partition("=") for part in headers.get("x-goog-hash", "").split(","))
    return next((value for kind, _, value in hashes if kind == "crc32c"), None)
