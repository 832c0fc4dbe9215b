"""A local cloud under load, looked at every second: what waits, who works, what each process holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import psutil

from bench.load.ledger import Ledger
from local.cloud import LocalCloud

#: What the names of worker processes begin with: these come and go.
WORKERS: Final = ("GPU execution", "pod")
_PROGRAM: Final = "workers.gpu"


@dataclass(frozen=True, slots=True)
class Held:
    """What a process and all that it started hold."""

    #: Resident memory, MB.
    memory: float
    descriptors: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds since the watch began."""

    at: float
    waiting: int
    #: Seconds since the oldest of those was accepted.
    oldest: float
    #: Worker processes: executions of the GPU Job, and gpu-runner pods.
    runners: int
    ended: int
    held: Mapping[str, Held]


@dataclass
class Watch:
    cloud: LocalCloud
    ledger: Ledger
    every_seconds: float
    begun: float = field(default_factory=time.monotonic)
    moments: list[Moment] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.wait(self.every_seconds):
            self.look()

    def stop(self) -> None:
        self._stop.set()

    def look(self) -> Moment:
        now, waiting = time.monotonic(), self.ledger.waiting
        workers = dict(_workers())
        held = {name: _held(child.pid) for name, child in self.cloud.children.items() if child.poll() is None}
        held |= {name: _held(pid) for name, pid in workers.items()}
        moment = Moment(
            at=now - self.begun,
            waiting=len(waiting),
            oldest=now - min(waiting) if waiting else 0.0,
            runners=len(workers),
            ended=self.ledger.ended,
            held={name: each for name, each in held.items() if each is not None},
        )
        self.moments.append(moment)
        return moment


@contextmanager
def watching(cloud: LocalCloud, ledger: Ledger, *, every_seconds: float = 1.0) -> Iterator[Watch]:
    watch = Watch(cloud, ledger, every_seconds)
    thread = threading.Thread(target=watch.run, name="watch")
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def _workers() -> Iterator[tuple[str, int]]:
    """This process's descendants that are GPU workers, by name; what these start belongs to them."""
    execution, pod = WORKERS
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            words = process.cmdline()
            if _PROGRAM in words:
                # The kernel gives an id out again within half an hour.
                begun = datetime.fromtimestamp(process.create_time(), UTC)
                yield f"{pod if 'serve' in words else execution} {process.pid} of {begun:%H:%M:%S}", process.pid


def _held(pid: int) -> Held | None:
    memory, descriptors = 0.0, 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
                memory += each.memory_info().rss / 1e6
                descriptors += each.num_fds()
        return Held(memory, descriptors)
    return None
