"""Storage in memory, with a clock to set and the faults to order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.errors import RateLimited
from shared.objects import StoredObject


@dataclass
class MemoryObjects:
    """Storage as far as the ledger uses it, with storage's limit of one write a second to one object."""

    now: datetime = datetime(2025, 11, 23, 12, tzinfo=UTC)
    stored: dict[str, tuple[bytes, int, datetime]] = field(default_factory=dict)
    #: Called with each name before it is written.
    before_write: Callable[[str], None] = lambda name: None
    #: The next write happens, but its answer is lost and its repetition refused.
    loses_next_answer: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def read(self, bucket: str, name: str) -> StoredObject | None:
        with self.lock:
            if name not in self.stored:
                return None
            data, generation, updated = self.stored[name]
            return StoredObject(data, generation, updated, self.now)

    def write(self, bucket: str, name: str, data: bytes, *, if_generation: int | None = None) -> int | None:
        self.before_write(name)
        with self.lock:
            _, generation, updated = self.stored.get(name, (b"", 0, datetime.min.replace(tzinfo=UTC)))
            if if_generation is not None and if_generation != generation:
                return None
            if self.now - updated < timedelta(seconds=1):
                raise RateLimited(f"two writes to {name} within a second")
            self.stored[name] = (data, generation + 1, self.now)
            if self.loses_next_answer:
                self.loses_next_answer = False
                return None
            return generation + 1
