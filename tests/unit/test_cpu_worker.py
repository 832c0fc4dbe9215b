"""`python -m workers.cpu`: its exit status, and what it says when it could not even begin."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.services import use
from tests.fakes.services import fake_services
from workers.cpu.main import main


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    """A worker takes the whole process' log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("model", [None, "no-such-folder", "gs://models/none"])
def test_without_a_model_one_line_says_so_and_the_queue_brings_the_job_again(
    model: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with use(fake_services(job_id="0" * 32, submission=1, model=model)):
        assert main(threading.Event()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert '"event": "worker.unavailable"' in line
    assert '"error": "misconfigured"' in line
    assert "MODEL" in line


def test_storage_that_is_down_is_one_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.bin").touch()
    everything = fake_services(job_id="0" * 32, submission=1, model=str(tmp_path))
    everything.faults.fail_next("objects.read jobs/", Unavailable("storage is down"))
    with use(everything):
        assert main(threading.Event()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "storage is down" in line


def test_without_a_job_it_is_bad_usage() -> None:
    with use(fake_services()):
        assert main(threading.Event()) == 2
