from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from shared import settings
from tests.fakes.services import FakeServices, fake_services


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed goes from one process of pytest to another as UTF-8, which a lone surrogate is not."""
    report = yield
    report.sections = [(title, said.encode(errors="backslashreplace").decode()) for title, said in report.sections]
    return report


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of the shell it was started from."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in [name for name in os.environ if name.endswith("_EMULATOR_HOST") or name == "LOG_LEVEL"]:
        monkeypatch.delenv(name)
    settings.from_environment.cache_clear()


@pytest.fixture(autouse=True)
def ordinary_process() -> Iterator[None]:
    """No test leaves its process real-time: what that starts would take the whole machine (tests/films.py)."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.fixture
def services() -> FakeServices:
    return fake_services()
