from __future__ import annotations

import os

import pytest

from shared import settings
from tests.fakes.services import FakeServices, fake_services


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of the shell it was started from."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in [name for name in os.environ if name.endswith("_EMULATOR_HOST") or name == "LOG_LEVEL"]:
        monkeypatch.delenv(name)
    settings.from_environment.cache_clear()


@pytest.fixture
def services() -> FakeServices:
    return fake_services()
