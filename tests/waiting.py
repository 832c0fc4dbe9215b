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
    deadline = time.monotonic() + within_s
    while not (answer := look()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
    return answer
