"""Held requests never fill an instance."""

from __future__ import annotations

import threading
import time

from functions.api.waiting import wait_for_end
from shared.resources import declared
from tests.fakes.services import fake_services
from tests.functions.serving import submitted


def test_the_caller_after_the_last_place_is_answered_at_once() -> None:
    everything = fake_services()
    job = submitted(everything)
    places = declared().functions["ingest"].max_held
    waiting = threading.Barrier(places + 1)

    def wait() -> None:
        waiting.wait(timeout=10)
        wait_for_end(job, 3.0, everything)

    threads = [threading.Thread(target=wait) for _ in range(places)]
    for thread in threads:
        thread.start()
    waiting.wait(timeout=10)
    deadline = time.monotonic() + 2.5
    took = 10.0
    while took > 0.2 and time.monotonic() < deadline:
        begun = time.monotonic()
        assert wait_for_end(job, 0.4, everything) == job
        took = time.monotonic() - begun
    for thread in threads:
        thread.join()
    assert took < 0.2
