"""Cloud Tasks in memory: tasks that wait to be taken by a test, and the names it remembers."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.errors import Misconfigured
from shared.queues import Task
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults

_NAME = re.compile(r"[A-Za-z0-9_-]{1,500}")
#: A name stays taken for so long after its task has ended.
_REMEMBERED = timedelta(hours=24)


@dataclass
class FakeQueues:
    clock: FakeClock
    faults: Faults
    names: Collection[str]
    #: Tasks not done yet, by (queue, task name).
    waiting: dict[tuple[str, str], Task] = field(default_factory=dict)
    #: Every task that was ever queued, in order.
    queued: list[tuple[str, Task]] = field(default_factory=list)
    _ended_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enqueue(self, queue: str, task: Task) -> bool:
        def do() -> bool:
            if queue not in self.names or not _NAME.fullmatch(task.name):
                raise Misconfigured(f"Cloud Tasks refused {queue}")
            with self._lock:
                key = (queue, task.name)
                ended_at = self._ended_at.get(key)
                is_remembered = ended_at is not None and self.clock.now() - ended_at < _REMEMBERED
                if key in self.waiting or is_remembered:
                    return False
                self.waiting[key] = task
                self.queued.append((queue, task))
                return True

        return self.faults.during(f"queues.enqueue {queue}", do)

    def on(self, queue: str) -> list[Task]:
        """Tasks of one queue that are not done yet, oldest first."""
        return [task for (name, _), task in list(self.waiting.items()) if name == queue]

    def picture(self) -> tuple[object, ...]:
        """All there is, as a value that can be compared, and put back by `restore`."""
        return tuple(self.waiting.items()), tuple(sorted(self._ended_at.items()))

    def restore(self, picture: Any) -> None:
        waiting, ended_at = picture
        self.waiting, self._ended_at = dict(waiting), dict(ended_at)
        self.queued.clear()

    def done(self, queue: str, task: Task) -> None:
        """The task's target answered 2xx."""
        del self.waiting[queue, task.name]
        self._ended_at[queue, task.name] = self.clock.now()
