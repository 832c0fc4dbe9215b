"""Processes that wait to be told what to do: forked when one is needed, or one ahead of the next need.

They are forked from a server that has libav and the rest loaded already (multiprocessing's `forkserver`): that takes
some 20 ms, and none of the worker's threads, locks and secrets go along.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Final

from shared.errors import ResourceExhausted
from shared.media.task import Begin, Task

_END_SECONDS: Final = 5.0
_TRIES: Final = 3
_TRY_SECONDS: Final = 0.05

_forks = multiprocessing.get_context("forkserver")
#: Starting a process looks at all others of this one's, and an exit status can be read once.
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Fork:
    """One process, and the ways to it."""

    process: ForkServerProcess
    #: Both ways.
    connection: Connection
    #: What it writes to stderr.
    words: Connection

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None  # noqa: S101 - it was started
        return self.process.pid

    def tell(self, begin: Begin, task: Task) -> None:
        """What it waits for. Who is gone cannot hear it, and why is told by its end."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send((begin, task))

    def status(self) -> int:
        """How it ended; where it does not, it is made to."""
        if not wait([self.process.sentinel], timeout=_END_SECONDS):
            self.process.kill()
        with _lock:
            self.process.join(_END_SECONDS)
            return self.process.exitcode if self.process.exitcode is not None else -signal.SIGKILL

    def close(self) -> None:
        """Close the ways to it; it is reaped when the next process starts."""
        self.connection.close()
        self.words.close()


class _Ahead:
    """At most one process that nobody needs yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fork: Fork | None = None

    def take(self) -> Fork | None:
        """The one there is, and lives; waits for one that is being started."""
        with self._lock:
            fork, self._fork = self._fork, None
        if fork is not None and wait([fork.process.sentinel], timeout=0):
            fork.close()
            return None
        return fork

    def fill(self) -> None:
        """Start one where there is none."""
        with self._lock, suppress(ResourceExhausted):
            self._fork = self._fork or _start()


_ahead = _Ahead()


def start_server(*, with_torch: bool = False) -> None:
    """Load the libraries in the background, so that the first process need not wait for all of that.

    A server that runs stays as it is. Torch takes a second or two to load, and is needed by few operations' children:
    it is worth that where many jobs will come.
    """
    _forks.set_forkserver_preload(["shared.media.preload", *(["shared.media.cuts"] if with_torch else [])])
    multiprocessing.forkserver.ensure_running()


def fork_ahead() -> None:
    """Start one in the background, for whoever comes next."""
    threading.Thread(target=_ahead.fill, name="fork-ahead", daemon=True).start()


def fork() -> Fork:
    """The one started ahead, or another. Raises ResourceExhausted when none could be started."""
    return _ahead.take() or _start()


def _start() -> Fork:
    for _ in range(_TRIES):
        try:
            multiprocessing.forkserver.ensure_running()
            return _started()
        except (EOFError, ConnectionError):  # the fork server is gone; the next try starts another
            time.sleep(_TRY_SECONDS)
    raise ResourceExhausted("no decoding process could be started")


def _started() -> Fork:
    connection, its_connection = _forks.Pipe()
    words, its_words = _forks.Pipe(duplex=False)
    with its_connection, its_words:
        process: ForkServerProcess = _forks.Process(
            target=_wait_to_be_told, args=(its_connection, its_words), daemon=True
        )
        with _lock:
            process.start()
    return Fork(process, connection, words)


def _wait_to_be_told(parent: Connection, words: Connection) -> None:
    # Typed at a terminal it reaches all processes, and the worker's is to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        begin, task = parent.recv()
    except (EOFError, ConnectionError):  # the worker ended, or needs no more
        return
    begin(parent, words, task)
