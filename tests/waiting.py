"""Waiting for a condition, with a deadline; the one way in which tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(look: Callable[[], Value | None], what: str = "it holds", *, within_s: float = 60.0) -> Value:
    """The first truthy answer of `look`; AssertionError naming `what` when none comes in time."""
    deadline = time.monotonic() + within_s
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
    return answer
