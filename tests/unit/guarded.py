"""What the tests of the guarded client share: two policies, a resolver, a limit on patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.fetch import FetchPolicy

STRICT = FetchPolicy()
LOCAL = FetchPolicy(allow_loopback=True, max_bytes=1_000_000, timeout_seconds=10)

#: Far above the caps that the tests set, far below what a test that is held up would take.
SOON_SECONDS = 8.0


class Names:
    """A resolver that knows a few names and hands out the next answer at each look-up."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []

    def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        turns = self.answers[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]


@contextmanager
def ends_soon() -> Iterator[None]:
    """Holds for an ending by an error, too."""
    start = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - start < SOON_SECONDS
