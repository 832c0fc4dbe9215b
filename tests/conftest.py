from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from multiprocessing.util import Finalize

import pytest
from xdist.remote import Producer

from shared import settings
from tests.fakes.services import FakeServices, fake_services
from tests.scheduling import FewSetUps

#: Tests for those who name them (`-m n8n`), since what they need takes minutes and gigabytes to install.
_BY_NAME = {"n8n": "runs in a real n8n, beside a local cloud", "languages": "needs a model of many languages"}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in _BY_NAME.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if not hasattr(config, "workerinput"):
        _take_temporary_files_along()


def _take_temporary_files_along() -> None:
    """What a run makes in the folder for temporary files goes with it: multiprocessing's, models', killed workers'.

    Processes of `pytest -n` end without a word, and what Python would do at their end is not done.
    """
    # Of tests that failed, pytest keeps the folders.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.gettempdir()
    os.environ["TMPDIR"] = folder = tempfile.mkdtemp(prefix="tests-")
    tempfile.tempdir = None
    # After multiprocessing has taken away its own, which has priority -100.
    Finalize(None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=-200)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unnamed = [name for name in _BY_NAME if name not in config.option.markexpr]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in unnamed)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FewSetUps:
    return FewSetUps(config, log)


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
def own_log() -> Iterator[None]:
    """For what takes the whole process' log, as a worker does."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def services() -> FakeServices:
    return fake_services()
