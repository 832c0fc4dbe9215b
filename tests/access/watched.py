"""Fakes that note what is touched, and on whose behalf: what an entry point needs is what it is seen to use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from shared.journal import Journal
from shared.objects import ObjectHead, ObjectInfo, StoredObject
from shared.services import tariff_of
from shared.settings import Settings
from shared.store import JobStore
from tests.fakes.objects import FakeObjects
from tests.fakes.services import SETTINGS, FakeBacklog, FakeServices, fake_services

_FIELDS: Final = frozenset(Settings.model_fields)


@dataclass
class Touched:
    """What one account was seen to use."""

    #: By bucket and first part of the name ("jobs/"; "" for a name of one part): read, list, create, overwrite, delete.
    objects: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    topics: set[str] = field(default_factory=set)
    subscriptions: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    signs: bool = False
    asks_monitoring: bool = False


@dataclass
class Watch:
    """Who acts now, and what everybody has touched; threads of one scene act for the same one."""

    seen: dict[str, Touched] = field(default_factory=lambda: defaultdict(Touched))
    actor: str | None = None

    @contextmanager
    def acting(self, account: str, everything: FakeServices) -> Iterator[None]:
        """What is called inside is `account`'s doing."""
        before = len(everything.faults.calls)
        self.actor = account
        try:
            yield
        finally:
            self.actor = None
            for call in everything.faults.calls[before:]:
                self._note_call(self.seen[account], call, everything.settings)

    def note(self, bucket: str, name: str, verb: str) -> None:
        if self.actor is not None:
            first, slash, _ = name.partition("/")
            self.seen[self.actor].objects[bucket, first + slash if slash else ""].add(verb)

    def _note_call(self, touched: Touched, call: str, settings: Settings) -> None:
        method, _, resource = call.partition(" ")
        match method.split("."):
            case ["topics", "publish"]:
                touched.topics.add(resource)
            case ["queues", "enqueue"]:
                touched.queues.add(resource)
            case ["executions", "start"]:
                touched.jobs.add({settings.gpu_job: "gpu", settings.cpu_job: "cpu"}[resource])
            case [name, "pull" | "ack" | "nack" | "extend"]:
                touched.subscriptions.add(name)


def watched_services(watch: Watch, **settings: Any) -> FakeServices:
    """Fakes of everything, with their clock well after whatever was done before."""

    class WatchedSettings(Settings):
        def __getattribute__(self, name: str) -> Any:
            if name in _FIELDS and watch.actor is not None:
                watch.seen[watch.actor].settings.add(name)
            return super().__getattribute__(name)

    class WatchedBacklog(FakeBacklog):
        def waiting(self) -> int | None:
            if watch.actor is not None:
                watch.seen[watch.actor].asks_monitoring = True
            return self.number

    objects = _WatchedObjects()
    objects.watch = watch
    everything = fake_services(objects=objects, **settings)
    made = WatchedSettings.model_validate({**SETTINGS, **settings})
    tell = Journal(lambda: tariff_of(made)).tell
    store = JobStore(objects, made.state_bucket, tell=tell, wait=everything.clock.advance)
    return replace(everything, settings=made, backlog=WatchedBacklog(), work_backlog=WatchedBacklog(), store=store)


class _WatchedObjects(FakeObjects):
    watch: Watch

    def read(self, bucket: str, name: str) -> StoredObject | None:
        self.watch.note(bucket, name, "read")
        return super().read(bucket, name)

    def head(self, bucket: str, name: str, *, length: int, generation: int | None = None) -> ObjectHead | None:
        self.watch.note(bucket, name, "read")
        return super().head(bucket, name, length=length, generation=generation)

    def read_range(self, bucket: str, name: str, start: int, length: int, *, generation: int | None = None) -> bytes:
        self.watch.note(bucket, name, "read")
        return super().read_range(bucket, name, start, length, generation=generation)

    def info(self, bucket: str, name: str, *, generation: int | None = None) -> ObjectInfo | None:
        self.watch.note(bucket, name, "read")
        return super().info(bucket, name, generation=generation)

    def write(self, bucket: str, name: str, data: bytes, **more: Any) -> int | None:
        self.watch.note(bucket, name, "create" if more.get("if_generation") == 0 else "overwrite")
        return super().write(bucket, name, data, **more)

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        self.watch.note(bucket, name, "delete")
        super().delete(bucket, name, if_generation=if_generation)

    def list(self, bucket: str, *, prefix: str, start: str | None = None, limit: int | None = None) -> Iterator[str]:
        self.watch.note(bucket, prefix, "list")
        return super().list(bucket, prefix=prefix, start=start, limit=limit)

    def download(
        self,
        bucket: str,
        name: str,
        path: Path,
        *,
        generation: int | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        self.watch.note(bucket, name, "read")
        return super().download(bucket, name, path, generation=generation, on_bytes=on_bytes)

    def upload(self, bucket: str, name: str, path: Path, *, content_type: str) -> None:
        self.watch.note(bucket, name, "overwrite")
        super().upload(bucket, name, path, content_type=content_type)

    def upload_session(
        self, bucket: str, name: str, *, content_type: str, metadata: Mapping[str, str], origin: str | None = None
    ) -> str:
        self.watch.note(bucket, name, "create")
        return super().upload_session(bucket, name, content_type=content_type, metadata=metadata, origin=origin)

    def download_url(self, bucket: str, name: str, *, expires_seconds: int) -> str:
        self.watch.note(bucket, name, "read")
        if self.watch.actor is not None:
            self.watch.seen[self.watch.actor].signs = True
        return super().download_url(bucket, name, expires_seconds=expires_seconds)
