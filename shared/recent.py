"""A number that may be some seconds old: whoever decides by it must not wait for it, or ask for it all at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The answer of `ask`, at most `seconds` old; one caller at a time asks anew, the others take the old one."""

    def __init__(self, ask: Callable[[], Value], *, at_first: Value, seconds: float) -> None:
        self._ask = ask
        self._value = at_first
        self._seconds = seconds
        self._asked_at = float("-inf")
        self._asking = threading.Lock()

    def get(self) -> Value:
        """Raises what `ask` raises, to the one caller that asked."""
        if time.monotonic() - self._asked_at > self._seconds and self._asking.acquire(blocking=False):
            try:
                self._value = self._ask()
                self._asked_at = time.monotonic()
            finally:
                self._asking.release()
        return self._value
