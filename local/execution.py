"""One execution of a Cloud Run job: its tasks are processes, tried again when they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from local.processes import Child, Processes
from shared.errors import PermanentError

#: Between SIGTERM and SIGKILL, as documented for Cloud Run services.
GRACE_S: Final = 10.0

TaskState = Literal["running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class LocalJob:
    """A job as it is declared: what stands for the container, and the limits of one task."""

    #: Short, as in `projects/P/locations/L/jobs/NAME`.
    name: str
    #: The program; what an image's entry point is in the cloud.
    argv: tuple[str, ...]
    #: Arguments, which an execution's overrides replace.
    args: tuple[str, ...] = ()
    #: All that a task sees, but for the overrides and CLOUD_RUN_*; it has no PATH unless one is given.
    env: Mapping[str, str] = field(default_factory=dict)
    #: For one attempt of one task.
    timeout_s: float = 600.0
    max_retries: int = 3
    task_count: int = 1
    cwd: Path | None = None


@dataclass(slots=True)
class _Task:
    index: int
    state: TaskState = "running"
    retries: int = 0
    message: str = ""
    child: Child | None = None


class JobExecution:
    """Runs from the moment it is made; its log is one file for all its tasks."""

    def __init__(self, name: str, job: LocalJob, processes: Processes, *, log: Path, grace_s: float = GRACE_S) -> None:
        #: Full: `projects/P/locations/L/jobs/NAME/executions/NAME-abcde`.
        self.name = name
        self.short_name = name.rpartition("/")[2]
        self.job = job
        self.log = log
        self.created = datetime.now(UTC)
        self.completed: datetime | None = None
        self._processes = processes
        self._grace_s = grace_s
        self._cancelled = threading.Event()
        self._tasks = [_Task(index) for index in range(job.task_count)]
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(task,), name=f"{self.short_name}-task{task.index}")
            for task in self._tasks
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def count(self, state: TaskState) -> int:
        """How many tasks are in this state."""
        return sum(task.state == state for task in self._tasks)

    def retried_count(self) -> int:
        """How many tasks were tried more than once."""
        return sum(task.retries > 0 for task in self._tasks)

    def message(self) -> str:
        """Why it failed, in the words of the first task that did; "" otherwise."""
        return next((task.message for task in self._tasks if task.state == "failed"), "")

    def pids(self) -> tuple[int, ...]:
        """Of the tasks that run now."""
        return tuple(task.child.pid for task in self._tasks if task.child is not None)

    def cancel(self) -> None:
        """SIGTERM to what runs, SIGKILL after the grace time, and no retries; returns at once."""
        self._cancelled.set()
        with self._lock:
            for task in self._tasks:
                if task.child is not None:
                    threading.Thread(target=task.child.stop, args=(self._grace_s,)).start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for all tasks; False when some still run after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return self.completed is not None

    def _run(self, task: _Task) -> None:
        state: TaskState = "failed"
        for attempt in range(self.job.max_retries + 1):
            task.retries = attempt
            succeeded = self._attempt(task, attempt)
            if self._cancelled.is_set():
                state = "cancelled"
                break
            if succeeded:
                state = "succeeded"
                break
        with self._lock:
            task.state = state
            if self.count("running") == 0:
                self.completed = datetime.now(UTC)

    def _attempt(self, task: _Task, attempt: int) -> bool:
        env = {
            **self.job.env,
            "CLOUD_RUN_JOB": self.job.name,
            "CLOUD_RUN_EXECUTION": self.short_name,
            "CLOUD_RUN_TASK_INDEX": str(task.index),
            "CLOUD_RUN_TASK_COUNT": str(self.job.task_count),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
        }
        with self._lock:
            if self._cancelled.is_set():
                return False
            try:
                task.child = self._processes.start(
                    [*self.job.argv, *self.job.args], env=env, log=self.log, name=self.short_name, cwd=self.job.cwd
                )
            except PermanentError as error:
                task.message = error.message
                return False
        in_time = task.child.wait(self.job.timeout_s) is not None
        # A container goes with its first process: whatever that left running goes now.
        code = task.child.stop(self._grace_s) if not in_time else task.child.kill()
        with self._lock:
            task.child = None
        if not in_time:
            task.message = f"Task {self.short_name}-task{task.index} failed: the configured timeout was reached."
            return False
        task.message = f"Task {self.short_name}-task{task.index} failed: the container exited with code {code}."
        return code == 0
