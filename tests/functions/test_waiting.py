"""Held requests never fill an instance."""

from __future__ import annotations

import time
from contextlib import ExitStack

from functions.api import waiting
from shared.resources import declared
from tests.fakes.services import fake_services
from tests.functions.serving import submitted


def test_the_caller_after_the_last_place_is_answered_at_once() -> None:
    everything = fake_services()
    job = submitted(everything)
    places = waiting._places
    with ExitStack() as held:
        for _ in range(declared().functions["ingest"].max_held):
            assert places.acquire(blocking=False)
            held.callback(places.release)
        begun = time.monotonic()
        assert waiting.wait_for_end(job, 30.0, everything) == job
        assert time.monotonic() - begun < 10
    assert places.acquire(blocking=False)
    places.release()
