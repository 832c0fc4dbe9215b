"""Objects in a bucket: the narrow part of Cloud Storage that this project leans on.

Every write may be conditional on a generation (0 means "only if absent"): that precondition is the one
concurrency tool here (https://cloud.google.com/storage/docs/request-preconditions). Times are storage's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object's metadata, as of one generation."""

    bucket: str
    name: str
    generation: int
    #: Bytes.
    size: int
    content_type: str
    updated: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One small object, read whole. `updated` and `now` are storage's clock, so ages need no clock of ours."""

    data: bytes
    generation: int
    updated: datetime
    #: Storage's time when it answered.
    now: datetime

    @property
    def age_seconds(self) -> float:
        return (self.now - self.updated).total_seconds()


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """An object's first bytes, with what the same answer says of the whole."""

    data: bytes
    generation: int
    #: Bytes of the whole object.
    size: int
    content_type: str


class Objects(Protocol):
    """Cloud Storage, or a fake that passes the same contract tests.

    Every method raises Unavailable for a passing fault, RateLimited for too many writes to one object.
    """

    def read(self, bucket: str, name: str) -> StoredObject | None:
        """The whole object; None when there is none."""

    def head(self, bucket: str, name: str, *, length: int, generation: int | None = None) -> ObjectHead | None:
        """The first `length` bytes by one ranged read; None when the object (or that generation) is gone."""

    def read_range(self, bucket: str, name: str, start: int, length: int, *, generation: int | None = None) -> bytes:
        """So many bytes (at least one) from `start` on, as stored; fewer at the object's end.

        SourceMissing when the object (or that generation) is gone.
        """

    def info(self, bucket: str, name: str, *, generation: int | None = None) -> ObjectInfo | None:
        """Metadata; None when the object (or that generation) is gone."""

    def write(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        if_generation: int | None = None,
        content_type: str = "application/json",
        metadata: Mapping[str, str] | None = None,
    ) -> int | None:
        """Write the whole object, answer its new generation; None when `if_generation` did not hold (HTTP 412)."""

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        """Delete if there (and still that generation); no error if not."""

    def list(self, bucket: str, *, prefix: str, start: str | None = None, limit: int | None = None) -> Iterator[str]:
        """Names in order, from `start` (inclusive) on, at most `limit`."""

    def download(
        self,
        bucket: str,
        name: str,
        path: Path,
        *,
        generation: int | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        """To a local file, checked by crc32c; answers its size.

        `on_bytes` gets the bytes written so far, may raise to stop. SourceMissing when the object (or that
        generation) is gone.
        """

    def upload(self, bucket: str, name: str, path: Path, *, content_type: str) -> None:
        """From a local file, overwriting."""

    def upload_session(
        self, bucket: str, name: str, *, content_type: str, metadata: Mapping[str, str], origin: str | None = None
    ) -> str:
        """A resumable upload URL (a secret: whoever has it may upload once)."""

    def download_url(self, bucket: str, name: str, *, expires_seconds: int) -> str:
        """A signed URL for one GET (a secret)."""
