"""A decoding child that works as any other, and says which modules it had to load itself."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from shared.media import decoding_child
from shared.media.messages import Message
from shared.media.task import Task

#: Where it says so, in the folder of its artifacts.
FILE: Final = Path("loaded.txt")


def begin(parent: Connection, words: Connection, task: Task) -> None:
    there = set(sys.modules)
    real = decoding_child._outcome

    def outcome(task: Task, parent: decoding_child.Parent) -> Message:
        done = real(task, parent)
        (task.folder / FILE).write_text("\n".join(sorted(set(sys.modules) - there)))
        return done

    decoding_child._outcome = outcome  # in this child alone
    decoding_child.work(parent, words, task)
