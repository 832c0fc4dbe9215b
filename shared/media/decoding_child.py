"""A decoding child, seen from inside: it talks with its parent, does the work and ends."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import resource
import signal
import threading
import time
import traceback
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import av
from av import FFmpegError

from shared.errors import JobError
from shared.media.analysis import analyse
from shared.media.artifacts import ArtifactFolder
from shared.media.container import as_failure
from shared.media.limits import confine, limit_memory
from shared.media.media_file import MediaFile
from shared.media.messages import Broken, Failed, Go, Logged, Looked, Message, Problem, Reached, Wanted
from shared.media.task import Task, works_on_gpu
from shared.media.verdict import out_of_memory
from shared.source import RemoteObject

_log = logging.getLogger(__name__)

#: Between two words on how far one stage is, seconds.
_PAUSE: Final = 0.1


def work(connection: Connection, words: Connection, task: Task) -> None:
    """Do the task, and say what came of it."""
    # A collection that went through all that was loaded before the fork would find nothing, and copy its pages.
    gc.freeze()
    os.dup2(words.fileno(), 2)
    # The worker was told, and knows what to finish and whom to end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confine(task.limits, with_driver=task.hardware)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    # libav's own, in C: it is the last thing one hears of a decoder that crashes.
    av.logging.set_libav_level(av.logging.ERROR)
    av.logging.restore_default_callback()
    parent = Parent(connection)
    logging.getLogger("shared.media").addHandler(_Forwarded(parent))
    logging.getLogger("shared.media").setLevel(logging.DEBUG)
    parent.say(_outcome(task, parent))


def _outcome(task: Task, parent: Parent) -> Message:
    source = RemoteObject(task.source, parent.read) if isinstance(task.source, int) else task.source
    limit = None if works_on_gpu(task.operations) else partial(limit_memory, task.limits)
    try:
        with MediaFile(source, threads=task.threads, hardware=task.hardware, without_hardware=limit) as media:
            done = analyse(media, task, ArtifactFolder(task.folder), parent)
    except MemoryError:  # libav's, too
        return Failed(problem=Problem.of(out_of_memory()))
    except JobError as error:
        return Failed(problem=Problem.of(error))
    except FFmpegError as error:  # from filters and scalers: what decoders refuse is judged where it is decoded
        return Failed(problem=Problem.of(as_failure("processing the file", error)))
    except Exception as bug:
        # The outermost border of a process: the parent raises it again.
        errno = bug.errno if isinstance(bug, OSError) else None
        return Broken(error=type(bug).__name__, errno=errno, trace=traceback.format_exc())
    used = resource.getrusage(resource.RUSAGE_SELF)
    facts = {"cpu_seconds": round(used.ru_utime + used.ru_stime, 3), "peak_megabytes": round(used.ru_maxrss / 1000)}
    _log.debug("decoding ended", extra={"event": "media.decoding_ended", "details": facts})
    return done


class Parent:
    """The worker that wants the work done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stage = ""
        self._said_at = 0.0

    def say(self, message: Message) -> None:
        self._connection.send_bytes(message.model_dump_json().encode())

    def show(self, looked: Looked) -> tuple[str, ...]:
        """Say what the file looks like; answers the names of the operations to do."""
        self.say(looked)
        return Go.model_validate_json(self._connection.recv_bytes()).operations

    def at(self, stage: str, fraction: float) -> None:
        """Say that a stage is so far (0 to 1); cheap enough for every packet."""
        now = time.monotonic()
        if stage != self._stage or now - self._said_at >= _PAUSE:
            self._stage, self._said_at = stage, now
            self.say(Reached(stage=stage, fraction=min(max(fraction, 0.0), 1.0)))

    def read(self, start: int, length: int) -> bytes:
        """So many bytes of the remote file; where they cannot be had, the parent knows why and ends this process."""
        self.say(Wanted(start=start, length=length))
        return self._connection.recv_bytes()


class _Forwarded(logging.Handler):
    """The parent's log is the log."""

    def __init__(self, parent: Parent) -> None:
        super().__init__()
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        said = vars(record)
        self._parent.say(
            Logged(
                logger=record.name,
                level=record.levelno,
                event=said["event"],
                message=record.getMessage(),
                details=said.get("details", {}),
            )
        )


def _end_with_parent() -> None:
    """The fork server lives as long as one of its children does, so its death alone would never come."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
