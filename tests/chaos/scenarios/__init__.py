"""All scenarios of the table, by what breaks."""

from __future__ import annotations

from tests.chaos.scenarios import (  # noqa: F401 - importing them fills the table
    deaths,
    dispatch,
    events,
    media,
    outward,
    restarts,
    storage,
    workers,
)
