"""The real workers with an engine that does as it is told, and a clock that may be wrong.

A file FAULTS/<job id>/<kind>.<n> is one fault for one attempt (tests.e2e.faulty_worker has the same convention).
Unless one of the kind `real` is there, no media is decoded: the source is read, and its checksum is the result.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from shared import services as built
from shared.errors import ProcessingFailed, ResourceExhausted
from shared.operations import Operation
from shared.processor import Admit, Processor, Produced, Report, Result, admit_all
from shared.services import Services
from shared.settings import from_environment
from shared.source import Source, open_source
from tests.chaos import small_disk
from tests.e2e.faulty_worker import use_up
from workers.signals import stop_on_sigterm


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(error: BaseException) -> None:
    raise error


def _deaf() -> None:
    """Deep in a model: nothing is reported, and SIGTERM changes nothing."""
    time.sleep(30)


def _stone() -> None:
    """The same, for longer than any attempt has: only the platform's SIGKILL ends it."""
    time.sleep(600)


def _hang() -> None:
    """The whole process, its beat too."""
    os.kill(os.getpid(), signal.SIGSTOP)


#: Bytes of a small disk: less than what is fetched to it, or written.
_SMALL: Final = 64 * 1024

#: What an attempt meets in the middle of its work.
KINDS: Final[Mapping[str, Callable[[], None]]] = {
    "kill": killed,
    # The kernel's killer is a SIGKILL to the process with the most memory: the container ends with 137.
    "oom": killed,
    "memory": lambda: _raise(MemoryError()),
    "disk": lambda: _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "gpu-memory": lambda: _raise(ResourceExhausted("the GPU's memory does not hold one batch")),
    "bad": lambda: _raise(ProcessingFailed("the decoder said no")),
    "deaf": _deaf,
    "stone": _stone,
    "hang": _hang,
    "bug": lambda: _raise(ValueError("a bug")),
}


class ChaosEngine:
    """Stands for the media engine, or makes the real one when a job wants it."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._faults = Path(os.environ["FAULTS"])

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
        # The attempt's folder is named after its job.
        faults = self._faults / folder.parent.name.partition("-")[0]
        if use_up(faults, "hold"):
            while not (faults / "release").exists():
                report("held", 2.0)
                time.sleep(0.05)
        for kind, happen in KINDS.items():
            if use_up(faults, kind):
                report("fault", 1.0)
                happen()
        if use_up(faults, "large-results"):
            _write_without_end(folder / "facts.json")
        if use_up(faults, "long"):
            admit(1e9)
        is_deadly = use_up(faults, "deadly")
        if is_deadly or use_up(faults, "real"):
            engine = self._real(is_deadly=is_deadly)
            return engine.process(source, operations, folder, explicit=explicit, report=report, admit=admit)
        admit(0.1)
        return _checksum(source, folder, report)

    def _real(self, *, is_deadly: bool) -> Processor:
        from shared.media.process import MediaProcessor

        engine = MediaProcessor(**self._options)
        if is_deadly:
            engine.begin = die  # type: ignore[method-assign]
        return engine


def _write_without_end(path: Path) -> None:
    """Artifacts larger than the disk: its ENOSPC ends this."""
    with path.open("wb") as file:
        for _ in range(64):
            file.write(bytes(_SMALL))
            file.flush()
    raise AssertionError("the disk is not small")


def die(*_: Any) -> None:
    """What a decoder does with a file that kills it: it reads from nowhere."""
    ctypes.string_at(0)


def _checksum(source: Source, folder: Path, report: Report) -> Result:
    with open_source(source) as file:
        data = file.read()
    report("read", 50.0)
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    (folder / "pictures").mkdir()
    (folder / "facts.json").write_text(json.dumps(facts))
    (folder / "pictures" / "0001.jpg").write_bytes(data[:100])
    made = (Produced("facts.json", "application/json"), Produced("pictures/0001.jpg", "image/jpeg"))
    return Result(made, {"probe": facts}, (), 0.1, "cpu")


class _Skewed(Services):
    """Services of a machine whose clock is wrong."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(os.environ["CLOCK_SKEW_SECONDS"]))


def main(arguments: list[str]) -> int:
    asked = stop_on_sigterm()
    from_environment()
    faults = Path(os.environ["FAULTS"])
    if use_up(faults, "start"):
        killed()
    own = faults / os.environ.get("JOB_ID", "of no job")
    if use_up(own, "small-disk"):
        small_disk.have(_SMALL)
    if use_up(own, "filling-disk"):
        small_disk.have(_SMALL, is_looked_at=False)
    if (clock := faults / f"{arguments[0]}-clock").exists():
        os.environ["CLOCK_SKEW_SECONDS"] = clock.read_text()
        right = built.services()
        built._current[:] = [_Skewed(**{each.name: getattr(right, each.name) for each in fields(right)})]
    if arguments[0] == "gpu":
        from workers.gpu.main import main as gpu

        return gpu(arguments[1:], asked, ChaosEngine)
    from workers.cpu.main import main as cpu

    return cpu(asked, ChaosEngine)
