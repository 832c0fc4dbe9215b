"""Cloud Storage's resumable upload: chunks, each confirmed, and after any fault on from what storage has.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import httpx
from pydantic import BaseModel, ValidationError

from hubctl.answers import is_passing, reason, wait
from hubctl.clock import Clock
from hubctl.errors import UploadFailed

#: Bytes of one chunk: a multiple of 256 KiB, as storage wants it.
CHUNK: Final = 8 * 2**20
_SLICE: Final = 256 * 2**10
#: Pauses before each further try without progress, in seconds; then the upload is given up.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_RESUME_INCOMPLETE: Final = 308
_GONE: Final = frozenset({404, 410})
_RANGE: Final = re.compile(r"bytes=0-(\d{1,15})", re.ASCII)


class SessionLost(Exception):
    """Storage forgot the session: the upload has to start anew, with another URL, unless it was done."""

    def __init__(self, *, all_was_sent: bool) -> None:
        super().__init__()
        self.all_was_sent = all_was_sent


class _Interrupted(Exception):
    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class _Stored(BaseModel):
    """What storage answers in the end: the object."""

    size: int


class ResumableUpload:
    """One file on its way to one upload URL."""

    def __init__(
        self, http: httpx.Client, url: str, path: Path, *, on_bytes: Callable[[int], None], clock: Clock
    ) -> None:
        self._http = http
        self._url = url
        self._path = path
        self._size = path.stat().st_size
        #: Gets the bytes sent so far; fewer than before when a chunk has to be sent again.
        self._on_bytes = on_bytes
        self._clock = clock
        self._furthest = 0

    def run(self) -> None:
        """Send the file. Raises SessionLost, UploadFailed."""
        confirmed, failures, is_unsure = 0, 0, False
        with self._path.open("rb") as file:
            while True:
                try:
                    stored = self._ask() if is_unsure else self._send(file, confirmed)
                except _Interrupted as cause:
                    self._pause(failures, cause)
                    failures, is_unsure = failures + 1, True
                    continue
                if stored is None:
                    return
                failures = 0 if stored > confirmed else failures
                confirmed, is_unsure = stored, False
                self._on_bytes(confirmed)

    def _pause(self, failures: int, cause: _Interrupted) -> None:
        if failures == len(_PAUSES):
            raise UploadFailed(f"the upload of {self._path.name} was given up: {cause}") from cause
        self._clock.sleep(max(_PAUSES[failures], cause.retry_after))

    def _send(self, file: BinaryIO, start: int) -> int | None:
        """One chunk; the bytes storage has then, or None when it has the whole object."""
        end = min(start + CHUNK, self._size)
        if start == end:
            stored = self._ask()
        else:
            stored = self._put(self._slices(file, start, end), end - start, f"bytes {start}-{end - 1}/{self._size}")
        if stored is not None and stored <= start:
            raise _Interrupted("storage keeps nothing of what it is sent")
        return stored

    def _ask(self) -> int | None:
        """How far storage is; this is also what ends an upload whose bytes are all there."""
        return self._put(b"", 0, f"bytes */{self._size}")

    def _put(self, content: Iterator[bytes] | bytes, length: int, content_range: str) -> int | None:
        headers = {"Content-Length": str(length), "Content-Range": content_range}
        try:
            response = self._http.put(self._url, content=content, headers=headers, follow_redirects=False)
        except httpx.RequestError as cause:
            raise _Interrupted(reason(cause)) from cause
        if response.status_code == _RESUME_INCOMPLETE:
            # No Range at all means that nothing is kept yet.
            found = _RANGE.fullmatch(response.headers.get("Range", ""))
            return min(int(found[1]) + 1, self._size) if found else 0
        if response.is_success:
            self._check(response)
            return None
        if response.status_code in _GONE:
            raise SessionLost(all_was_sent=self._furthest == self._size)
        if is_passing(response):
            raise _Interrupted(f"storage answers {response.status_code}", wait(response))
        raise UploadFailed(f"storage refused {self._path.name}: {response.status_code} {response.reason_phrase}")

    def _slices(self, file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
        file.seek(start)
        while start < end:
            data = file.read(min(_SLICE, end - start))
            if not data:
                raise UploadFailed(f"{self._path.name} became shorter while it was uploaded")
            yield data
            start += len(data)
            self._furthest = max(self._furthest, start)
            self._on_bytes(start)

    def _check(self, response: httpx.Response) -> None:
        try:
            kept = _Stored.model_validate_json(response.content).size
        except ValidationError as cause:
            raise UploadFailed(f"storage took {self._path.name}, but did not say what it kept") from cause
        if kept != self._size:
            raise UploadFailed(f"storage kept {kept} of the {self._size} bytes of {self._path.name}; submit it again")
