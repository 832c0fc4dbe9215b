"""Kills what a supervisor started, and removes their scratch files, once the supervisor is gone, however it went.

Every child of `local.processes` carries a leash in its environment, which its own children inherit; neither
setsid nor a double fork takes it off. The watchdog holds one end of a pipe whose other end only the supervisor
has: when that closes (exit, crash, SIGKILL), it kills everything on the leash.
Leashes nest (`run/child/run/child`): an outer watchdog also ends what an inner supervisor started.

PR_SET_PDEATHSIG would not do: it reaches no grandchildren, and fires when the *thread* that forked ends.
Only the standard library here: it runs as `python -I -S watchdog.py LEASH SCRATCH`, which starts within some 20 ms.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

LEASH: Final = "LOCAL_CLOUD_LEASH"

_PAUSE_S: Final = 0.02
_GIVE_UP_S: Final = 10.0


def on_leash(leash: str) -> Iterator[int]:
    """Handles (pidfds) of the living processes on this leash; the caller closes each."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(ProcessLookupError, PermissionError, FileNotFoundError):
            # The handle is opened before the environment is read: a pid used again cannot be mistaken.
            handle = os.pidfd_open(int(entry.name))
            is_ours = False
            try:
                is_ours = _carries(entry, leash)
            finally:
                # Somebody else's environment may not be read, and a process may end meanwhile.
                if not is_ours:
                    os.close(handle)
            if is_ours:
                yield handle


def kill_leashed(leash: str, *, quiet_looks: int = 1) -> None:
    """SIGKILL every process on the leash, until `quiet_looks` looks in a row found none.

    A process in the middle of exec shows no environment for a moment: who must be sure looks more than once.
    """
    deadline = time.monotonic() + _GIVE_UP_S
    quiet = 0
    while time.monotonic() < deadline:
        found = False
        for handle in on_leash(leash):
            found = True
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        quiet = 0 if found else quiet + 1
        if quiet >= quiet_looks:
            return
        time.sleep(_PAUSE_S)


def _carries(process: Path, leash: str) -> bool:
    prefix = f"{LEASH}={leash}".encode()
    variables = (process / "environ").read_bytes().split(b"\0")
    return any(variable == prefix or variable.startswith(prefix + b"/") for variable in variables)


def _watch(leash: str, scratch: str) -> None:
    sys.stdin.buffer.read()
    kill_leashed(leash, quiet_looks=3)
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    _watch(*sys.argv[1:])
