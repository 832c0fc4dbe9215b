"""Why a decoding child says nothing: it hangs, or this machine keeps it from working.

A program that computes, or sleeps for ever, hangs by itself: the file does that, and would do it again. One that could
run and hardly did, that waits for a disk or was stopped, or whose parent hardly ran itself, may do better elsewhere
(proc(5): stat).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.errors import JobError
from shared.media.verdict import hangs, starves

#: How often one is to look while a child says nothing.
LOOK_SECONDS: Final = 0.5
#: Of these looks, so few were possible where this process, too, was kept from working.
_FEW_LOOKS: Final = 0.25
#: Of the time it said nothing, so much on a CPU is work.
_LITTLE_CPU: Final = 0.25
_TICKS: Final = os.sysconf("SC_CLK_TCK")
#: Runnable, waiting for a disk, stopped: whoever sleeps, waits for something that the program itself does.
_KEPT_STATES: Final = frozenset("RDTt")


class Vigil:
    """Over one child."""

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._folder = proc / str(pid)
        self.heard()

    def heard(self) -> None:
        """The child said something."""
        #: When, by the monotonic clock.
        self.since = time.monotonic()
        #: Seconds it had on a CPU by the first look since.
        self._cpu: float | None = None
        self._looks = self._kept = 0

    def look(self) -> None:
        """It says nothing at the moment."""
        if self._cpu is None:
            self._cpu = self._cpu_seconds()
        self._looks += 1
        self._kept += not _KEPT_STATES.isdisjoint(self._states())

    def judge(self, seconds: float) -> JobError:
        """What it means that nothing came for so long."""
        used = self._cpu_seconds() - (self._cpu or 0.0)
        is_kept = self._kept * 2 > self._looks or self._looks < _FEW_LOOKS * seconds / LOOK_SECONDS
        return starves(seconds) if is_kept and used < _LITTLE_CPU * seconds else hangs(seconds)

    def _states(self) -> set[str]:
        """Those of its threads, of which one may work while the others wait for it."""
        return {fields[0] for stat in self._folder.glob("task/*/stat") if (fields := _fields(stat))}

    def _cpu_seconds(self) -> float:
        fields = _fields(self._folder / "stat")
        return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _fields(stat: Path) -> list[str]:
    """What stands behind the program's name, its state first; nothing when it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return stat.read_text().rpartition(")")[2].split()
    return []
