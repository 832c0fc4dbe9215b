"""Cloud Run Jobs in memory: executions that a test runs, or lets run, to their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import Misconfigured
from tests.fakes.faults import Faults


@dataclass(frozen=True)
class Execution:
    name: str
    job: str
    region: str
    environment: Mapping[str, str]


@dataclass
class FakeExecutions:
    faults: Faults
    #: (job, region) there are.
    jobs: frozenset[tuple[str, str]]
    started: list[Execution] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    #: Runs the container; called while `start` is answered, when the execution is already known.
    on_start: Callable[[Execution], None] = lambda execution: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, job: str, region: str, environment: Mapping[str, str]) -> str:
        def do() -> Execution:
            if (job, region) not in self.jobs:
                raise Misconfigured(f"Cloud Run refused {job}: NotFound")
            with self._lock:
                execution = Execution(f"{job}-{len(self.started) + 1}", job, region, dict(environment))
                self.started.append(execution)
            return execution

        execution = self.faults.during(f"executions.start {job}", do)
        self.on_start(execution)
        return execution.name

    def has_ended(self, execution: str) -> bool:
        known = {started.name for started in self.started}
        return self.faults.during("executions.has_ended", lambda: execution in self.ended or execution not in known)
