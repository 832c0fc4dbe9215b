"""A decoding child, seen from its parent: told what to do, listened to, and ended whatever happens."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

from shared.media.fork import fork
from shared.media.messages import MESSAGE, Go, Message
from shared.media.task import Begin, Task, run
from shared.media.verdict import verdict
from shared.media.vigil import LOOK_SECONDS, Vigil
from shared.media.way import Way

#: Of what a child wrote to stderr.
_WORDS_BYTES: Final = 2000


class Child:
    """A context manager: the child is killed when it ends."""

    def __init__(self, task: Task, begin: Begin = run) -> None:
        self._task, self._begin = task, begin
        self._heard = b""

    def __enter__(self) -> Child:
        self._fork = fork()
        self._way = Way(self._fork.connection)
        self._fork.tell(self._begin, self._task)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fork.process.kill()
        if kind is not None:
            # It may be writing into folders that others now clear away. A child that was done is not waited for: its
            # memory takes 15 ms to be taken back.
            self._fork.status()
        self._way.close()
        self._fork.close()

    def messages(self, look: Callable[[], None]) -> Iterator[Message]:
        """What the child says, until it has nothing more to say; `look` is called at least once a second.

        Raises what `look` raises, as `verdict` says when the child ends, and as `Vigil` does when it says nothing.
        """
        connection, words, ended = self._fork.connection, self._fork.words, self._fork.process.sentinel
        vigil = Vigil(self._fork.pid)
        looked_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for source in (connection, ended, words):
                selector.register(source, selectors.EVENT_READ)
            while True:
                # Who was given something and has not taken it is not heard: it would only ask for more.
                wanted = selectors.EVENT_WRITE if self._way.is_full else selectors.EVENT_READ
                selector.modify(connection, wanted)
                # A cancelled job is to end within 5 s.
                ready = [key.fileobj for key, _ in selector.select(LOOK_SECONDS)]
                if words in ready and not self._listen():
                    selector.unregister(words)
                if connection in ready and self._way.is_full:
                    self._way.send()
                elif connection in ready:
                    try:
                        data = self._way.take()
                    except (EOFError, OSError):  # it ended, be it in the middle of a message
                        raise self._verdict() from None
                    if data is not None:
                        yield MESSAGE.validate_json(data)
                        vigil.heard()
                elif ended in ready:
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
        self._way.give(data)

    def _verdict(self) -> Exception:
        status = self._fork.status()
        while self._fork.words.poll() and self._listen():
            pass
        lines = self._heard.decode(errors="replace").strip().splitlines()
        return verdict(status, lines[-1].strip() if lines else "")

    def _listen(self) -> bool:
        """Take in what the child wrote to stderr; False when there will be no more."""
        data = os.read(self._fork.words.fileno(), 65536)
        self._heard = (self._heard + data)[-_WORDS_BYTES:]
        return bool(data)
