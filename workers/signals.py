"""SIGTERM as an event that loops and beats look at."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def stop_on_sigterm() -> threading.Event:
    """An event that is set when the platform asks this process to end (SIGKILL follows after 10 s)."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    return stop
