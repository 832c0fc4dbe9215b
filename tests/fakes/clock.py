"""The one clock of a test: storage's, the services' own, and everybody's patience."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Moves only when told to, or when somebody waits on it: hand `advance` in where `time.sleep` would go."""

    def __init__(self, start: datetime = datetime(2025, 11, 23, 12, tzinfo=UTC)) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def set(self, now: datetime) -> None:
        with self._lock:
            self._now = now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)
