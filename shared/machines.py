"""Which machine an attempt runs on, and how many of its seconds are the attempt's."""

from __future__ import annotations

import threading
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Machine(StrEnum):
    """What is paid for by the second."""

    GPU_JOB = "gpu-job"
    CPU_JOB = "cpu-job"
    GKE_POD = "gke-pod"


class Place(BaseModel):
    """Where an attempt runs. It stands in the record, so that whoever finds a dead worker's job knows it, too."""

    model_config = ConfigDict(frozen=True, extra="allow")

    machine: Machine
    #: Jobs that share the machine, WORKER_CONCURRENCY; as if it were always full.
    jobs_at_once: int = 1
    #: Seconds this process took to start: the job that it takes first carries them.
    startup_seconds: float = 0.0

    def seconds(self, since: datetime, until: datetime) -> float:
        """Seconds of the machine that an attempt between these times costs."""
        return max(0.0, (until - since).total_seconds()) / self.jobs_at_once + self.startup_seconds


class Startup:
    """The seconds a process took to start, given away once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._jobs = 0
        self._lock = threading.Lock()

    def take(self) -> float:
        """What is left of them: all, or 0 when they are given away."""
        with self._lock:
            seconds, self._seconds = self._seconds, 0.0
            self._jobs += 1
        return round(seconds, 3)

    def give_back(self, seconds: float) -> None:
        """The job was not taken after all."""
        with self._lock:
            self._seconds += seconds
            self._jobs -= 1

    @property
    def is_over(self) -> bool:
        """Has the process taken up a job?"""
        return self._jobs > 0
