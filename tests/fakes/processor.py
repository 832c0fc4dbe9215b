"""A media engine that does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.operations import Operation
from shared.processor import Admit, Produced, Report, Result, admit_all
from shared.source import Source, open_source

#: One call of `process`: gets the source, the folder for the results and `report`.
Step = Callable[[Source, Path, Report], Result]

ARTIFACTS: Final[Mapping[str, bytes]] = {"probe.json": b'{"streams": []}', "thumbnails/0001.jpg": b"a picture"}


def succeed(
    artifacts: Mapping[str, bytes] = ARTIFACTS, *, warnings: tuple[str, ...] = (), media_seconds: float | None = 10.0
) -> Step:
    """Report twice and write the artifacts."""

    def step(source: Source, folder: Path, report: Report) -> Result:
        with open_source(source) as file:
            file.read()
        report("decode", 0.0)
        for name, data in artifacts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        report("decode", 100.0)
        produced = tuple(Produced(name, "application/octet-stream") for name in artifacts)
        return Result(produced, {"probe": {"streams": 0}}, warnings, media_seconds, "cpu")

    return step


def fail(error: BaseException) -> Step:
    """Leave a half-written artifact behind and raise."""

    def step(source: Source, folder: Path, report: Report) -> Result:
        (folder / "probe.json").write_bytes(b"{")
        # A fresh one each time: an exception keeps the traceback of every raise.
        raise copy(error)

    return step


def after(do: Callable[[], object], then: Step | None = None) -> Step:
    """Something happens in the middle of the work."""

    def step(source: Source, folder: Path, report: Report) -> Result:
        report("decode", 40.0)
        do()
        report("decode", 41.0)
        return (then or succeed())(source, folder, report)

    return step


@dataclass
class Blocked:
    """Work that goes on, reporting, until the test lets it end."""

    #: Reports once, and then nothing.
    is_deaf: bool = False
    #: Set once the work is in the middle.
    is_running: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def __call__(self, source: Source, folder: Path, report: Report) -> Result:
        for number in range(2000):
            if not number or not self.is_deaf:
                report("decode", 10.0)
            self.is_running.set()
            if self.may_end.wait(0.01):
                return succeed()(source, folder, report)
        raise TimeoutError("nobody let the work end")


@dataclass
class FakeProcessor:
    """Takes one step for each call; the last one is repeated for ever."""

    steps: list[Step] = field(default_factory=lambda: [succeed()])
    #: The declared duration of every source.
    seconds: float | None = 10.0
    #: (operations, explicit) of each call.
    calls: list[tuple[Sequence[Operation], bool]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def process(
        self,
        source: Source,
        operations: Sequence[Operation],
        folder: Path,
        *,
        explicit: bool,
        report: Report,
        admit: Admit = admit_all,
    ) -> Result:
        admit(self.seconds)
        with self._lock:
            self.calls.append((operations, explicit))
            step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return step(source, folder, report)
