"""What crashes, hangs or eats its decoder ends one child process, with a verdict, and nothing else."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import pytest
from PIL import Image

from shared.errors import JobError, ProcessingFailed, ResourceExhausted
from shared.media.conversation import DecodingBroke
from shared.media.limits import DecodeLimits
from shared.media.vigil import Vigil
from shared.operations import Probe, Shots, Thumbnails
from shared.processor import Result
from shared.source import RemoteObject
from tests.media import make_video
from tests.unit.media import bad_sinks
from tests.unit.media.bad_sinks import BadProcessor
from tests.unit.media.conftest import load_all
from tests.waiting import eventually

#: Before a cancelled job must be over.
PROMISED_S = 5.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", seconds=2, size=(160, 90))


def shots(processor: BadProcessor, film: Path, out: Path, report: Callable[[str, float], None] | None = None) -> Result:
    quietly = report or (lambda stage, percent: None)
    return processor.process(film, [Probe(), Shots()], out, explicit=True, report=quietly)


@pytest.mark.parametrize(
    ("how", "limits", "error", "code", "said"),
    [
        (bad_sinks.read_from_nowhere, {}, ProcessingFailed, "decoder_crashed", "crashes the decoder (SIGSEGV)"),
        (
            bad_sinks.abort_with_a_word,
            {},
            ProcessingFailed,
            "decoder_crashed",
            "crashes the decoder (SIGABRT: free(): invalid pointer)",
        ),
        (bad_sinks.sleep, {"silence_seconds": 3.0}, ProcessingFailed, "decoder_hangs", "nothing came of it for 3 s"),
        (
            bad_sinks.sleep_with_the_interpreter_locked,
            {"silence_seconds": 3.0},
            ProcessingFailed,
            "decoder_hangs",
            "nothing came of it for 3 s",
        ),
        (
            bad_sinks.stop,
            {"silence_seconds": 2.0},
            ResourceExhausted,
            "decoder_starved",
            "this machine hardly let it run",
        ),
        (
            bad_sinks.compute_for_ever,
            {"cpu_seconds": 1.0, "cpu_factor": 0.1},
            ProcessingFailed,
            "decoder_too_slow",
            "more time than a decoder may have",
        ),
        (
            bad_sinks.eat_memory,
            {"memory_bytes": 2**29},
            ProcessingFailed,
            "decoder_memory",
            "more memory than a decoder may have",
        ),
        (bad_sinks.be_killed, {}, ResourceExhausted, "resource_exhausted", "killed from outside"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_verdict_for_each_way_of_going_wrong(
    how: Callable[..., None],
    limits: dict[str, float],
    error: type[JobError],
    code: str,
    said: str,
    film: Path,
    out: Path,
) -> None:
    processor = BadProcessor(how, limits=DecodeLimits(**limits))
    with pytest.raises(error) as caught:
        shots(processor, film, out)
    assert caught.value.reason_code == code
    assert said in caught.value.message
    assert multiprocessing.active_children() == []
    processor.turn(None)
    processor._limits = DecodeLimits()
    assert shots(processor, film, out).summary["shots"]["frames"] == 50


def test_a_picture_larger_than_the_memory_a_decoder_may_have_is_refused_in_words(tmp_path: Path, out: Path) -> None:
    Image.new("L", (16_000, 12_000)).save(tmp_path / "huge.png")
    processor = BadProcessor(None, limits=DecodeLimits(memory_bytes=2**27))
    with pytest.raises(ProcessingFailed, match="more memory than a decoder may have"):
        processor.process(tmp_path / "huge.png", [Thumbnails()], out, explicit=True, report=lambda *_: None)


def test_a_child_that_dies_in_the_middle_of_a_message_has_a_verdict(film: Path, out: Path) -> None:
    processor = BadProcessor(None)
    processor.begin = bad_sinks.die_in_the_middle_of_a_message
    with pytest.raises(ProcessingFailed, match="crashes the decoder"):
        shots(processor, film, out)


@pytest.mark.parametrize(
    ("begin", "code"),
    [(bad_sinks.stop_in_the_middle_of_a_message, "decoder_starved"), (bad_sinks.dribble, "decoder_hangs")],
)
def test_a_message_that_never_ends_is_silence(begin: Callable[..., None], code: str, film: Path, out: Path) -> None:
    processor = BadProcessor(None, limits=DecodeLimits(silence_seconds=2.0))
    processor.begin = begin
    with pytest.raises(JobError) as caught:
        shots(processor, film, out)
    assert caught.value.reason_code == code
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("states", "cpu_share", "looks", "code"),
    [
        ("R", 0.1, 120, "decoder_starved"),
        ("SR", 0.1, 120, "decoder_starved"),
        ("D", 0.0, 120, "decoder_starved"),
        ("R", 0.5, 120, "decoder_hangs"),
        ("S", 0.0, 120, "decoder_hangs"),
        # The parent was as good as frozen itself.
        ("S", 0.0, 2, "decoder_starved"),
    ],
)
def test_who_hardly_ran_though_he_could_is_no_hanging_decoder(
    states: str, cpu_share: float, looks: int, code: str, tmp_path: Path
) -> None:
    def write(cpu_seconds: float) -> None:
        tasks = ((tmp_path / "42/task" / str(number), state) for number, state in enumerate(states))
        ticks = round(cpu_seconds * os.sysconf("SC_CLK_TCK"))
        for path, state in [(tmp_path / "42", "S"), *tasks]:
            path.mkdir(parents=True, exist_ok=True)
            (path / "stat").write_text(f"42 (python) (x) {state} " + "0 " * 10 + f"{ticks} 0 0\n")

    vigil = Vigil(42, tmp_path)
    write(5.0)
    for _ in range(looks):
        vigil.look()
    write(5.0 + 60.0 * cpu_share)
    assert vigil.judge(60.0).reason_code == code


@pytest.mark.parametrize("how", [bad_sinks.sleep, bad_sinks.sleep_with_the_interpreter_locked])
def test_work_that_hangs_can_be_cancelled(how: Callable[..., None], film: Path, out: Path) -> None:
    class LeaseLostError(Exception):
        pass

    cancelled, asked_at = threading.Event(), [0.0]

    def report(stage: str, percent: float) -> None:
        if cancelled.is_set():
            raise LeaseLostError
        if stage == "decode":
            asked_at[0] = time.monotonic()
            cancelled.set()

    with pytest.raises(LeaseLostError):
        shots(BadProcessor(how), film, out, report)
    assert time.monotonic() - asked_at[0] < PROMISED_S
    assert multiprocessing.active_children() == []


class Zeros:
    """A remote object, and how much of it was given so far."""

    def __init__(self) -> None:
        self.given = 0
        self.source = RemoteObject(2**30, self._read)

    def _read(self, start: int, length: int) -> bytes:
        self.given += length
        return bytes(length)


def test_a_child_that_stops_before_it_takes_what_it_asked_for_is_seen_to(out: Path) -> None:
    processor = BadProcessor(None, limits=DecodeLimits(silence_seconds=2.0))
    processor.begin = bad_sinks.stop_after_asking
    with pytest.raises(ResourceExhausted) as caught:
        processor.process(Zeros().source, [Probe()], out, explicit=True, report=lambda *_: None)
    assert caught.value.reason_code == "decoder_starved"
    assert multiprocessing.active_children() == []


def test_a_child_that_stops_before_it_takes_what_it_asked_for_can_be_cancelled(out: Path) -> None:
    class CancelledError(Exception):
        pass

    def report(stage: str, percent: float) -> None:
        if zeros.given:
            raise CancelledError

    zeros, processor = Zeros(), BadProcessor(None)
    processor.begin = bad_sinks.stop_after_asking
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        processor.process(zeros.source, [Probe()], out, explicit=True, report=report)
    assert time.monotonic() - begun < PROMISED_S
    assert multiprocessing.active_children() == []


def test_a_child_that_asks_and_never_takes_is_given_no_more_than_once(out: Path) -> None:
    zeros, processor = Zeros(), BadProcessor(None, limits=DecodeLimits(silence_seconds=3.0))
    processor.begin = bad_sinks.ask_without_reading
    with pytest.raises(ProcessingFailed, match="hangs the decoder"):
        processor.process(zeros.source, [Probe()], out, explicit=True, report=lambda *_: None)
    assert zeros.given == 2**23


def test_a_bug_is_told_with_its_trace_in_the_log_alone(film: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DecodingBroke, match=r"^ZeroDivisionError$"):
        shots(BadProcessor(bad_sinks.have_a_bug), film, out)
    assert "in line 42" in caplog.text
    assert "bad_sinks.py" in caplog.text


def test_a_broken_disk_is_the_disks_fault(film: Path, out: Path) -> None:
    with pytest.raises(OSError, match="OSError") as caught:
        shots(BadProcessor(bad_sinks.find_the_disk_broken), film, out)
    assert caught.value.errno == errno.EIO


def test_what_a_child_logs_is_in_the_workers_log(film: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "shared.media.decoding")
    shots(BadProcessor(None), film, out)
    assert [record.details["frames"] for record in caplog.records if record.name == "shared.media.decoding"] == [
        {"video": 50}
    ]


def test_children_need_not_load_libraries(film: Path, out: Path) -> None:
    """The fork server swallows it when it cannot load what it is to have ready."""
    shots(BadProcessor(None), film, out)
    maps = Path(f"/proc/{_server_pid()}/maps").read_text()
    assert "libavcodec" in maps
    assert "libtorch" in maps


def test_without_its_fork_server_the_next_job_starts_another(film: Path, out: Path) -> None:
    processor = BadProcessor(None)
    shots(processor, film, out)
    before = _server_pid()
    os.kill(before, signal.SIGKILL)
    assert shots(processor, film, out).summary["shots"]["frames"] == 50
    assert _server_pid() != before
    load_all()  # the tests to come are quicker with it


_KILLED = """
import sys, pathlib
from tests.unit.media import bad_sinks
from shared.operations import Shots
if __name__ == "__main__":
    film, out = map(pathlib.Path, sys.argv[1:])
    processor = bad_sinks.BadProcessor(bad_sinks.sleep_and_tell)
    processor.process(film, [Shots()], out, explicit=True, report=lambda *_: None)
"""


def test_no_child_outlives_its_worker(film: Path, out: Path) -> None:
    told = out.parent / "pid"
    worker = subprocess.Popen([sys.executable, "-c", _KILLED, film, out], env={**os.environ, "PID_FILE": str(told)})
    try:
        pid = int(eventually(lambda: told.exists() and told.read_text(), "the child works"))
    finally:
        worker.kill()
        worker.wait()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the child is gone")


def _server_pid() -> int:
    return forkserver._forkserver._forkserver_pid  # nothing public tells
