"""Cloud Scheduler's stand-in: calls one URL at a fixed interval."""

from __future__ import annotations

import logging
import threading
from typing import Final, Self

import httpx

#: Cloud Scheduler's own for one attempt, where a job names no other.
_DEADLINE_S: Final = 180.0
_GRACE_S: Final = 5.0

_log = logging.getLogger(__name__)


class Scheduler:
    """POSTs to `url` every `every` seconds while it is entered; an answer that is no 2xx waits for the next time."""

    def __init__(self, url: str, *, every: float) -> None:
        self._url = url
        self._every = every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join(_GRACE_S)

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=_DEADLINE_S) as client:
            while not self._done.wait(self._every):
                try:
                    client.post(self._url)
                except httpx.HTTPError as error:
                    _log.warning(
                        "no answer to the scheduler", extra={"event": "scheduler.failed", "error": type(error).__name__}
                    )
