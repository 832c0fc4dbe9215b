from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubctl.client import HubClient
from tests.hubctl_jobs import ARTIFACTS
from tests.hubctl_run import FILM, Clock
from tests.hubctl_server import KEY, Hub, serving


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as hub:
        hub.artifacts |= ARTIFACTS
        yield hub


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(hub: Hub, clock: Clock) -> Iterator[HubClient]:
    with HubClient(hub.url, KEY, clock=clock) as client:
        yield client


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM)
    return path
