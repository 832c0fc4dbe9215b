"""Waiting for a condition, with a deadline; the only place where tests sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Return once the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"did not hold within {within_s:g} s"
        time.sleep(0.01)
