"""A decoding child, seen from its parent: started, listened to, and ended whatever happens.

Children are forked from a server that has libav and the rest loaded already (multiprocessing's `forkserver`): that
takes some 10 ms, and none of the worker's threads, locks and secrets go along.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Final

from shared.errors import ResourceExhausted
from shared.media.messages import MESSAGE, Go, Message
from shared.media.task import Begin, Task, run
from shared.media.verdict import verdict
from shared.media.vigil import LOOK_SECONDS, Vigil

_END_SECONDS: Final = 5.0
_TRIES: Final = 3
_TRY_SECONDS: Final = 0.05
_MOST_BYTES: Final = 64 * 2**20
#: Of what a child wrote to stderr.
_WORDS_BYTES: Final = 2000

_forks = multiprocessing.get_context("forkserver")
#: Starting a process looks at all others of this one's, and an exit status can be read once.
_lock = threading.Lock()


def start_server(*, with_torch: bool = False) -> None:
    """Load the libraries in the background, so that the first child need not wait for all of that.

    A server that runs stays as it is. Torch takes a second or two to load, and is needed by few operations' children:
    it is worth that where many jobs will come.
    """
    _forks.set_forkserver_preload(["shared.media.preload", *(["shared.media.cuts"] if with_torch else [])])
    multiprocessing.forkserver.ensure_running()


class Child:
    """A context manager: the child is killed when it ends."""

    def __init__(self, task: Task, begin: Begin = run) -> None:
        self._task, self._begin = task, begin
        self._heard = b""
        #: Of what it asked for, what it has not taken yet.
        self._unsent = memoryview(b"")

    def __enter__(self) -> Child:
        self._connection, its_connection = _forks.Pipe()
        self._words, its_words = _forks.Pipe(duplex=False)
        with its_connection, its_words:
            self._process: ForkServerProcess = _forks.Process(
                target=self._begin, args=(its_connection, its_words, self._task), daemon=True
            )
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        if kind is not None:
            # It may be writing into folders that others now clear away. A child that was done is not waited for: its
            # memory takes 15 ms to be taken back, and the next start of a process reaps it.
            self._status()
        self._connection.close()
        self._words.close()

    def messages(self, look: Callable[[], None]) -> Iterator[Message]:
        """What the child says, until it has nothing more to say; `look` is called at least once a second.

        Raises what `look` raises, as `verdict` says when the child ends, and as `Vigil` does when it says nothing.
        """
        assert self._process.pid is not None  # noqa: S101
        vigil = Vigil(self._process.pid)
        looked_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for source in (self._connection, self._process.sentinel, self._words):
                selector.register(source, selectors.EVENT_READ)
            while True:
                # Who was given something and has not taken it is not heard: it would only ask for more.
                wanted = selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ
                selector.modify(self._connection, wanted)
                # A cancelled job is to end within 5 s.
                ready = [key.fileobj for key, _ in selector.select(LOOK_SECONDS)]
                if self._words in ready and not self._listen():
                    selector.unregister(self._words)
                if self._connection in ready and self._unsent:
                    self._send()
                elif self._connection in ready:
                    try:
                        message = MESSAGE.validate_json(self._connection.recv_bytes(_MOST_BYTES))
                    except (EOFError, OSError):  # it ended, be it in the middle of a message
                        raise self._verdict() from None
                    yield message
                    vigil.heard()
                elif self._process.sentinel in ready:
                    raise self._verdict()
                now = time.monotonic()
                if now - looked_at >= LOOK_SECONDS:
                    look()
                    looked_at = time.monotonic()
                    vigil.look()
                if now - vigil.since > self._task.limits.silence_seconds:
                    raise vigil.judge(self._task.limits.silence_seconds)

    def go(self, operations: tuple[str, ...]) -> None:
        """Answer what the file looked like."""
        self.give(Go(operations=operations).model_dump_json().encode())

    def give(self, data: bytes) -> None:
        """Answer what was wanted; what it does not take at once goes on its way while `messages` waits."""
        # As `Connection.recv_bytes` takes it; `send_bytes` would wait for ever for a child that stopped.
        self._unsent = memoryview(len(data).to_bytes(4, "big") + data)
        self._send()

    def _send(self) -> None:
        """As much as there is room for."""
        try:
            with socket.socket(fileno=os.dup(self._connection.fileno())) as way:
                sent = way.send(self._unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError):  # whose child is gone learns why from what comes next
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]

    def _start(self) -> None:
        for _ in range(_TRIES):
            try:
                multiprocessing.forkserver.ensure_running()
                with _lock:
                    self._process.start()
            except (EOFError, ConnectionError):  # the fork server is gone; the next try starts another
                time.sleep(_TRY_SECONDS)
            else:
                return
        raise ResourceExhausted("no decoding process could be started")

    def _status(self) -> int:
        """How the child ended; where it does not, it is made to."""
        if not wait([self._process.sentinel], timeout=_END_SECONDS):
            self._process.kill()
        with _lock:
            self._process.join(_END_SECONDS)
            return self._process.exitcode if self._process.exitcode is not None else -signal.SIGKILL

    def _verdict(self) -> Exception:
        status = self._status()
        while self._words.poll() and self._listen():
            pass
        lines = self._heard.decode(errors="replace").strip().splitlines()
        return verdict(status, lines[-1].strip() if lines else "")

    def _listen(self) -> bool:
        """Take in what the child wrote to stderr; False when there will be no more."""
        data = os.read(self._words.fileno(), 65536)
        self._heard = (self._heard + data)[-_WORDS_BYTES:]
        return bool(data)
