"""What a decoding child may use: a file that crashes, hangs or feeds on its decoder must harm nothing else."""

from __future__ import annotations

import ctypes
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.settings import Settings

_PR_SET_PDEATHSIG: Final = 1
#: A day: a length that a file merely claims must not buy more.
_MOST_CPU_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The settings say what each means."""

    cpu_seconds: float = 300.0
    cpu_factor: float = 30.0
    memory_bytes: int = 4 * 2**30
    silence_seconds: float = 60.0

    @classmethod
    def of(cls, settings: Settings) -> DecodeLimits:
        """Those of the settings."""
        return cls(
            cpu_seconds=settings.decode_cpu_seconds,
            cpu_factor=settings.decode_cpu_factor,
            memory_bytes=settings.decode_memory_bytes,
            silence_seconds=settings.decode_silence_seconds,
        )


def confine(limits: DecodeLimits, *, with_driver: bool = False) -> None:
    """Limit this process, and let it die with the one that forked it (prctl(2), setrlimit(2)).

    One that works with a GPU's driver has no limit of memory: that reserves more address space than there is. When it
    does without after all, it calls `limit_memory`.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not with_driver:
        limit_memory(limits)
    allow_cpu(limits, 0.0)


def limit_memory(limits: DecodeLimits) -> None:
    """What this process may have beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def allow_cpu(limits: DecodeLimits, seconds: float) -> None:
    """The CPU time for a recording of so many seconds, counted from the start of this process."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = round(min(limits.cpu_seconds + limits.cpu_factor * seconds, _MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CPU, (allowed if most == resource.RLIM_INFINITY else min(allowed, most), most))
