"""Child processes that never outlive the local cloud, and that say why they failed to start.

    with Processes() as processes:
        child = processes.start(["server", "--port=8080"], env=env, log=Path("server.log"), name="server")
        wait_ready(child, http_ready("http://127.0.0.1:8080/"), within_s=10)

Leaving the block stops the children, gently. If the block is never left (SIGKILL, a crash,
SIGTERM without a handler), the watchdog kills them and everything they started (`local.watchdog`).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from local import watchdog
from local.ports import LOOPBACK
from local.watchdog import LEASH, kill_leashed
from shared.errors import PermanentError

#: How long a child may take to end after SIGTERM, unless the caller says otherwise.
GRACE_S: Final = 5.0
_POLL_S: Final = 0.02


class MissingTool(PermanentError):
    """A program the local cloud needs is not installed; the message says how to install it."""

    code = "missing_tool"


class StartFailed(PermanentError):
    """A child ended, or did not answer in time; the message carries the end of its log."""

    code = "start_failed"


class Child:
    """One running program, with all that it started."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], *, leash: str, log: Path, scratch: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._leash = leash
        self._scratch = scratch

    @property
    def pid(self) -> int:
        """Of the program itself; also the id of its process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the program to end; None when it still runs after `timeout_s`."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def terminate(self) -> None:
        """SIGTERM to the program itself, as a container runtime sends it to process 1."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL to the program and everything it started; answer the exit code. Its temporary files go with it."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        kill_leashed(self._leash)
        shutil.rmtree(self._scratch, ignore_errors=True)
        return self._process.wait()

    def stop(self, grace_s: float = GRACE_S) -> int:
        """SIGTERM, up to `grace_s` seconds to end, then SIGKILL to whatever is left of it; answer the exit code."""
        self.terminate()
        self.wait(grace_s)
        return self.kill()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it wrote."""
        with suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Processes:
    """Starts children and makes sure that none is left behind. Safe to use from several threads.

    Do not `os.fork` a process that holds one of these without an exec: the copy would keep the pipe open that
    tells the watchdog of the supervisor's end.
    """

    def __init__(self) -> None:
        self._leash = "/".join(filter(None, (os.environ.get(LEASH), secrets.token_hex(8))))
        # Short: a worker's sockets lie below it, whose addresses hold 107 bytes.
        self._scratch = Path(tempfile.mkdtemp(prefix="local-"))
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self._closed = False
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, self._leash, self._scratch],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def start(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str], log: Path, name: str, cwd: Path | None = None
    ) -> Child:
        """Start a program in a session of its own; `env` is all it sees, `log` gets its output, appended.

        Its temporary files are its own, and go when it is killed, as a container's do.
        Raises MissingTool when there is no such program, StartFailed once this object is closed.
        """
        leash = f"{self._leash}/{secrets.token_hex(4)}"
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, log.open("ab") as output:
            if self._closed:
                raise StartFailed(f"{name}: the local cloud is stopping")
            scratch = Path(tempfile.mkdtemp(prefix="", dir=self._scratch))
            try:
                process = subprocess.Popen(
                    [str(part) for part in argv],
                    env={**env, LEASH: leash, "TMPDIR": str(scratch)},
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except FileNotFoundError as cause:
                raise MissingTool(f"{name}: {cause.filename} is not there to be started") from cause
            child = Child(name, process, leash=leash, log=log, scratch=scratch)
            # Those that ended by themselves stay listed only until the next start: a busy day starts thousands.
            self._children = [other for other in self._children if other.poll() is None]
            self._children.append(child)
        return child

    def close(self, grace_s: float = GRACE_S) -> None:
        """Stop all children at once, with `grace_s` seconds to end; then look for strays."""
        with self._lock:
            self._closed = True
            children = tuple(self._children)
        try:
            for child in children:
                child.terminate()
            deadline = time.monotonic() + grace_s
            for child in children:
                child.wait(max(0.0, deadline - time.monotonic()))
                child.kill()
        finally:
            self._watchdog.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def http_ready(url: str) -> Callable[[], bool]:
    """True once a GET of this plain HTTP URL is answered with anything below 500."""
    parts = urlsplit(url)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))

    def ready() -> bool:
        with closing(HTTPConnection(parts.netloc, timeout=1.0)) as connection:
            try:
                connection.request("GET", target)
                return connection.getresponse().status < 500
            except (OSError, HTTPException):
                return False

    return ready


def tcp_ready(port: int) -> Callable[[], bool]:
    """True once something listens on this loopback port."""

    def ready() -> bool:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1.0).close()
        except OSError:
            return False
        return True

    return ready


def wait_ready(child: Child, ready: Callable[[], bool], *, within_s: float) -> None:
    """Wait until `ready()`; StartFailed when the child ends first, or takes longer than `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not ready():
        code = child.poll()
        if code is not None:
            raise StartFailed(f"{child.name} ended with exit code {code} instead of starting\n{child.log_tail()}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{child.name} did not answer within {within_s:g} s\n{child.log_tail()}")
        time.sleep(_POLL_S)
