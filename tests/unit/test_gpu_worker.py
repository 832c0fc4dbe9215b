"""`python -m workers.gpu`: what it says when it could not even begin."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest

from shared.processor import Processor
from shared.services import use
from tests.fakes.services import fake_services
from workers.gpu import main as worker

pytestmark = pytest.mark.usefixtures("own_log")


def _no_processor(**_: object) -> Processor:
    pytest.fail("a worker that cannot begin makes no engine")


@pytest.mark.parametrize("command", ["drain", "serve"])
@pytest.mark.parametrize(
    ("has_gpu", "event"), [(False, '"event": "worker.no_gpu"'), (True, '"event": "worker.unavailable"')]
)
def test_without_the_gpu_it_needs_it_ends_at_once_and_so_it_does_without_a_model(
    command: str, has_gpu: bool, event: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker, "has_gpu", lambda: has_gpu)
    with use(fake_services(require_gpu=True, model="no-such-folder")):
        assert worker.main([command], threading.Event(), _no_processor) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert event in line


@pytest.mark.parametrize("arguments", [[], ["drains"], ["drain", "serve"]])
def test_whoever_asks_for_something_else_is_told_what_there_is(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert worker.main(arguments, threading.Event(), _no_processor) == 2
    assert "python -m workers.gpu drain | serve" in capsys.readouterr().err


def test_what_a_killed_container_left_on_a_pods_disk_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source, of gigabytes: the disk outlives the container, and a pod whose disk is full is evicted."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    left = tmp_path / "work" / "0123-xyz" / "source.mp4"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"media")
    with use(fake_services(scratch_folder=left.parent.parent, model="no-such-folder")):
        worker.main(["serve"], threading.Event(), _no_processor)
    assert list((tmp_path / "work").iterdir()) == []
    assert Path(tempfile.gettempdir()) == tmp_path / "work"
