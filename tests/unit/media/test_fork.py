"""Decoding processes that are there before a job needs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from local.assets import Assets
from shared.media import fork as forks
from shared.media.fork import Fork, fork, fork_ahead
from shared.media.process import MediaProcessor
from shared.operations import Probe
from tests.media import make_video
from tests.waiting import eventually


@pytest.fixture
def ahead() -> Fork:
    fork_ahead()
    return waiting()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_video(tmp_path / "film.mp4", seconds=1, size=(160, 90))


def waiting() -> Fork:
    ahead = eventually(lambda: forks._ahead._fork, "a process is there")
    for thread in threading.enumerate():
        if thread.name == "fork-ahead":
            thread.join(60)
    return ahead


def ignored(process: Fork) -> int:
    """The signals, a bit each."""
    (line,) = (line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigIgn" in line)
    return int(line.split()[1], 16)


def test_the_one_started_ahead_is_taken_once(ahead: Fork) -> None:
    taken, another = fork(), fork()
    assert taken is ahead
    assert another.pid != ahead.pid
    for one in (taken, another):
        one.close()


def test_no_more_than_one_is_started_ahead(ahead: Fork) -> None:
    forks._ahead.fill()
    assert waiting() is ahead


def test_one_that_died_is_not_taken(ahead: Fork) -> None:
    os.kill(ahead.pid, signal.SIGKILL)
    eventually(lambda: wait([ahead.process.sentinel], timeout=0), "it is gone")
    taken = fork()
    assert taken.pid != ahead.pid
    taken.close()


def test_one_that_is_not_needed_ends_by_itself() -> None:
    one = fork()
    one.close()
    eventually(lambda: not Path(f"/proc/{one.pid}").exists(), "it is gone")
    assert one.status() == 0


def test_an_interrupt_at_the_terminal_leaves_it_to_its_worker(ahead: Fork) -> None:
    eventually(lambda: ignored(ahead) & 1 << signal.SIGINT - 1, "it waits")
    os.kill(ahead.pid, signal.SIGINT)
    assert fork() is ahead
    ahead.close()
    eventually(lambda: not Path(f"/proc/{ahead.pid}").exists(), "it is gone")
    assert ahead.status() == 0


@pytest.mark.parametrize("many_jobs", [True, False])
def test_where_many_jobs_come_each_leaves_one_for_the_next(
    film: Path, out: Path, assets: Assets, many_jobs: bool
) -> None:
    processor = MediaProcessor(model=assets.model, device="cpu", many_jobs=many_jobs)
    first = waiting()
    processor.process(film, [Probe()], out, explicit=True, report=lambda *_: None)
    if many_jobs:
        assert waiting() is not first
    else:
        assert forks._ahead._fork is None


_LEFT = """
from shared.media import fork as forks
if __name__ == "__main__":
    forks._ahead.fill()
    print(forks._ahead._fork.pid, flush=True)
    {end}
"""


@pytest.mark.parametrize("end", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_it_does_not_outlive_its_worker(end: str) -> None:
    worker = subprocess.run(
        [sys.executable, "-c", _LEFT.format(end=end)], capture_output=True, text=True, check=False, timeout=60
    )
    assert worker.stderr == ""
    pid = int(worker.stdout)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "it is gone")
