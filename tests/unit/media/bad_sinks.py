"""Decoding children whose picture sink does what a broken decoder does: each begins as the real one, and goes wrong.

They live in a module of their own, since a child imports what it begins with.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.media.messages import Wanted
from shared.media.process import MediaProcessor
from shared.media.task import Task, run


@dataclass(frozen=True)
class BeginWith:
    """The first call of a child: its shot finder is given this to do with every picture."""

    see: Callable[..., Any]

    def __call__(self, parent: Connection, words: Connection, task: Task) -> None:
        from shared.media.shots import ShotFinder

        ShotFinder.see = self.see  # in this child alone
        run(parent, words, task)


def read_from_nowhere(*_: Any) -> None:
    ctypes.string_at(0)


def abort_with_a_word(*_: Any) -> None:
    sys.stderr.write("[h264 @ 0x1] reference count overflow\nfree(): invalid pointer\n")
    sys.stderr.flush()
    os.abort()


def sleep(*_: Any) -> None:
    time.sleep(600)


def sleep_and_tell(*_: Any) -> None:
    """Who sleeps stands in the file that PID_FILE names."""
    told = Path(os.environ["PID_FILE"])
    told.with_suffix(".new").write_text(str(os.getpid()))
    told.with_suffix(".new").rename(told)
    time.sleep(600)


def sleep_with_the_interpreter_locked(*_: Any) -> None:
    ctypes.PyDLL(None).sleep(600)


def compute_for_ever(*_: Any) -> None:
    while True:
        pass


def eat_memory(*_: Any) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(2**24))


def reserve_a_gigabyte(*_: Any) -> None:
    """Room in the address space; nothing of it is used."""
    try:
        mmap.mmap(-1, 2**30).close()
    except OSError as error:
        raise MemoryError from error


def stop(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def be_killed(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def have_a_bug(*_: Any) -> None:
    raise ZeroDivisionError("in line 42")


def find_the_disk_broken(*_: Any) -> None:
    raise OSError(5, "Input/output error")


def die_in_the_middle_of_a_message(parent: Connection, words: Connection, task: Task) -> None:
    """The first call of a child: of a message of 1000 bytes, which its head says, there is the beginning alone."""
    os.write(parent.fileno(), (1000).to_bytes(4, "big") + b'{"says":')
    os.kill(os.getpid(), signal.SIGSEGV)


def stop_in_the_middle_of_a_message(parent: Connection, words: Connection, task: Task) -> None:
    """The first call of a child; nothing tells its end."""
    os.write(parent.fileno(), (1000).to_bytes(4, "big") + b'{"says":')
    os.kill(os.getpid(), signal.SIGSTOP)


def dribble(parent: Connection, words: Connection, task: Task) -> None:
    """The first call of a child: a message that never ends is nothing said."""
    os.write(parent.fileno(), (2**26).to_bytes(4, "big"))
    while True:
        os.write(parent.fileno(), b" ")
        time.sleep(0.01)


def stop_after_asking(parent: Connection, words: Connection, task: Task) -> None:
    """The first call of a child: it asks for more than fits into a pipe, and reads nothing of that."""
    parent.send_bytes(Wanted(start=0, length=2**23).model_dump_json().encode())
    os.kill(os.getpid(), signal.SIGSTOP)


def ask_without_reading(parent: Connection, words: Connection, task: Task) -> None:
    """The first call of a child."""
    while True:
        parent.send_bytes(Wanted(start=0, length=2**23).model_dump_json().encode())


def take_long(*_: Any) -> None:
    time.sleep(0.05)


class BadProcessor(MediaProcessor):
    """Its pictures go wrong in this way; None: in no way."""

    def __init__(self, how: Callable[..., None] | None, **options: Any) -> None:
        super().__init__(model="none", device="cpu", **options)
        self.turn(how)

    def turn(self, how: Callable[..., None] | None) -> None:
        self.begin = run if how is None else BeginWith(how)
