"""`python -m workers.cpu`: its exit status, and what it says when it could not even begin."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.services import use
from tests.fakes.processor import FakeProcessor
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, PNG, World, request
from workers.cpu.main import main

pytestmark = pytest.mark.usefixtures("own_log")


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


def test_the_deadline_counts_from_the_beginning_of_the_process_and_not_from_the_end_of_its_imports(
    tmp_path: Path,
) -> None:
    (tmp_path / "model.bin").touch()
    everything = fake_services(model=str(tmp_path), **NO_BEATS)
    job = World(everything).submit(request(everything, file=PNG)).job
    everything.clock.advance(5)
    told = everything.settings.model_copy(update={"job_id": job.job_id, "submission": 1})
    began = time.monotonic() - told.task_timeout_seconds
    with use(replace(everything, settings=told)):
        assert main(threading.Event(), lambda **_: FakeProcessor(), began=began) == 0
    seen = everything.store.get(job.job_id)
    assert seen is not None
    assert seen.job.failure is not None
    assert seen.job.failure.code == "too_long"
