"""Cloud Storage in memory: a second implementation of `shared.objects.Objects`, as strict as the real one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from shared.errors import RateLimited, SourceMissing
from shared.objects import ObjectHead, ObjectInfo, StoredObject
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults

_Name = tuple[str, str]
_Names = list[str]
_T = TypeVar("_T")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
#: Storage takes about one write a second to one object.
_PAUSE = timedelta(seconds=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK_BYTES = 2**16
_FIRST_GENERATION = 1_700_000_000_000_000


@dataclass(frozen=True)
class Write:
    """One write that took effect."""

    bucket: str
    name: str
    data: bytes


@dataclass(frozen=True)
class _Stored:
    data: bytes
    generation: int
    updated: datetime
    content_type: str
    metadata: Mapping[str, str] = field(hash=False)


@dataclass
class FakeObjects:
    """Generations grow, past an object's deletion, too; a second write to it within a second of `clock` is refused."""

    clock: FakeClock = field(default_factory=FakeClock)
    faults: Faults = field(default_factory=Faults)
    limits_rate: bool = True
    writes: list[Write] = field(default_factory=list)
    #: Upload URLs handed out, with the metadata they carry.
    sessions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _stored: dict[_Name, _Stored] = field(default_factory=dict)
    _written_at: dict[_Name, datetime] = field(default_factory=dict)
    #: The last generation of every object there ever was.
    _generations: dict[_Name, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def read(self, bucket: str, name: str) -> StoredObject | None:
        def do() -> StoredObject | None:
            found = self._find(bucket, name)
            return StoredObject(found.data, found.generation, found.updated, self.clock.now()) if found else None

        return self._call("read", name, do)

    def head(self, bucket: str, name: str, *, length: int, generation: int | None = None) -> ObjectHead | None:
        def do() -> ObjectHead | None:
            found = self._find(bucket, name, generation)
            if found is None:
                return None
            return ObjectHead(found.data[:length], found.generation, len(found.data), found.content_type)

        return self._call("head", name, do)

    def read_range(self, bucket: str, name: str, start: int, length: int, *, generation: int | None = None) -> bytes:
        def do() -> bytes:
            found = self._find(bucket, name, generation)
            if found is None:
                raise SourceMissing(f"no object {name}, or not in that generation")
            return found.data[start : start + length]

        return self._call("read_range", name, do)

    def info(self, bucket: str, name: str, *, generation: int | None = None) -> ObjectInfo | None:
        def do() -> ObjectInfo | None:
            found = self._find(bucket, name, generation)
            if found is None:
                return None
            return ObjectInfo(
                bucket, name, found.generation, len(found.data), found.content_type, found.updated, found.metadata
            )

        return self._call("info", name, do)

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
        return self._call(
            "write", name, lambda: self._write(bucket, name, data, if_generation, content_type, metadata or _NOTHING)
        )

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        def do() -> None:
            there = self._stored.get((bucket, name))
            if there is not None and if_generation in (None, there.generation):
                del self._stored[bucket, name]

        self._call("delete", name, do)

    def list(self, bucket: str, *, prefix: str, start: str | None = None, limit: int | None = None) -> Iterator[str]:
        def do() -> _Names:
            return sorted(
                name
                for where, name in self._stored
                if where == bucket and name.startswith(prefix) and name >= (start or "")
            )

        yield from self._call("list", prefix, do)[:limit]

    def download(
        self,
        bucket: str,
        name: str,
        path: Path,
        *,
        generation: int | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        def do() -> _Stored:
            found = self._find(bucket, name, generation)
            if found is None:
                raise SourceMissing(f"no object {name}, or not in that generation")
            return found

        data = self._call("download", name, do).data
        with path.open("wb") as file:
            for start in range(0, len(data), _CHUNK_BYTES):
                file.write(data[start : start + _CHUNK_BYTES])
                if on_bytes:
                    on_bytes(file.tell())
        return len(data)

    def upload(self, bucket: str, name: str, path: Path, *, content_type: str) -> None:
        data = path.read_bytes()
        self._call("upload", name, lambda: self._write(bucket, name, data, None, content_type, _NOTHING))

    def upload_session(
        self, bucket: str, name: str, *, content_type: str, metadata: Mapping[str, str], origin: str | None = None
    ) -> str:
        if origin is not None and (not origin.isprintable() or not origin.isascii() or len(origin) > 8192):
            # It is a header of the client's own request, which the client or storage refuses.
            raise ValueError("no header can hold this origin")

        def do() -> str:
            url = f"https://storage.example/upload/{bucket}/{name}?upload_id=secret-session-{len(self.sessions)}"
            self.sessions[url] = dict(metadata)
            return url

        return self._call("upload_session", name, do)

    def download_url(self, bucket: str, name: str, *, expires_seconds: int) -> str:
        url = f"https://storage.example/{bucket}/{name}?expires={expires_seconds}&signature=secret-signature"
        return self._call("download_url", name, lambda: url)

    def names(self, bucket: str, prefix: str = "") -> _Names:
        """For tests to look with, past all faults."""
        with self._lock:
            return sorted(name for where, name in self._stored if where == bucket and name.startswith(prefix))

    def data(self, bucket: str, name: str) -> bytes:
        """For tests to look with, past all faults."""
        return self._stored[bucket, name].data

    def put(
        self, bucket: str, name: str, data: bytes, *, content_type: str = "", metadata: Mapping[str, str] = _NOTHING
    ) -> int:
        """An object from somebody else, past all faults and limits; answers its generation."""
        with self._lock:
            return self._store(bucket, name, data, content_type, metadata)

    def lose_next_answer(self, name: str = "") -> None:
        """The next write (of a name that starts so) happens, and its repetition by the client meets its own 412."""
        self.faults.fail_next(f"objects.write {name}", None, happens=True)

    def picture(self) -> tuple[object, ...]:
        """All there is, as a value that can be compared, and put back by `restore`."""
        stored = sorted((*key, each) for key, each in self._stored.items())
        return tuple(stored), tuple(sorted(self._generations.items()))

    def restore(self, picture: Any) -> None:
        """Be as in the picture; when an object was written last, as the limit of writes sees it, is forgotten."""
        stored, generations = picture
        self._stored = {(bucket, name): each for bucket, name, each in stored}
        self._generations = dict(generations)
        self._written_at.clear()
        self.writes.clear()

    def _call(self, method: str, name: str, do: Callable[[], _T]) -> _T:
        def locked() -> _T:
            with self._lock:
                return do()

        return self.faults.during(f"objects.{method} {name}", locked)

    def _find(self, bucket: str, name: str, generation: int | None = None) -> _Stored | None:
        found = self._stored.get((bucket, name))
        return found if found and generation in (None, found.generation) else None

    def _write(
        self,
        bucket: str,
        name: str,
        data: bytes,
        if_generation: int | None,
        content_type: str,
        metadata: Mapping[str, str],
    ) -> int | None:
        found = self._find(bucket, name)
        if if_generation is not None and if_generation != (found.generation if found else 0):
            return None
        if self.limits_rate and self.clock.now() - self._written_at.get((bucket, name), _LONG_AGO) < _PAUSE:
            raise RateLimited(f"storage refused a write to {name}: too many a second")
        return self._store(bucket, name, data, content_type, metadata)

    def _store(self, bucket: str, name: str, data: bytes, content_type: str, metadata: Mapping[str, str]) -> int:
        generation = self._generations[bucket, name] = self._generations.get((bucket, name), _FIRST_GENERATION) + 1
        now = self.clock.now()
        self._stored[bucket, name] = _Stored(data, generation, now, content_type, dict(metadata))
        self._written_at[bucket, name] = now
        self.writes.append(Write(bucket, name, data))
        return generation
