"""hubctl as people run it, but with time that passes as soon as somebody waits for it."""

from __future__ import annotations

import random
from pathlib import Path

from typer.testing import CliRunner, Result

from hubctl.cli import app
from hubctl.client import HubClient
from hubctl.upload import CHUNK
from tests.hubctl_server import KEY, Hub

#: Two whole chunks and a bit.
FILM = random.Random(0).randbytes(2 * CHUNK + 300_001)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        self.now += seconds


def hubctl(hub: Hub, *args: str | Path, key: str | None = KEY, clock: Clock | None = None) -> Result:
    """Run the command; whatever is no bug leaves by SystemExit, never by a traceback."""
    result = CliRunner().invoke(
        app,
        list(map(str, args)),
        env={"HUB_URL": hub.url, "HUB_API_KEY": key, "NO_COLOR": "1", "COLUMNS": "200"},
        obj=lambda url, key: HubClient(url, key, clock=clock or Clock()),
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result
