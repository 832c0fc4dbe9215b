"""Waiting for a condition, with a deadline; the one way in which tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(
    look: Callable[[], Value | None], what: str | Callable[[], str] = "it holds", *, within_s: float = 60.0
) -> Value:
    """The first truthy answer of `look`; AssertionError naming `what` (asked at the end) when none comes in time."""
    began = time.monotonic()
    deadline = began + within_s
    while not (answer := look()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        # Most is there at once; what takes seconds may be a tenth late, and costs who works for it less.
        time.sleep(min(0.02 + (time.monotonic() - began) / 20, 0.1))
    return answer
