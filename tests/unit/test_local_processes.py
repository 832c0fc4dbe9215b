"""No process of the local cloud outlives it, whatever ends it. The proof asks the kernel, not the leash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from local import watchdog
from local.ports import LOOPBACK, Ports
from local.processes import MissingTool, Processes, StartFailed, http_ready, tcp_ready, wait_ready
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

#: A child as bad as they come: a shell under which one process stays, one leaves for a session of its own, one
#: ignores SIGTERM, and one is a Python that forked without exec.
UNRULY = """
sleep {mark} &
setsid sleep {mark} &
sh -c 'trap "" TERM; sleep {mark}; :' {mark} &
{python} -S -c 'import os, sys, time; os.fork(); time.sleep(1000)' {mark} &
wait
"""
UNRULY_COUNT = 6

#: Supervises that child, and an inner supervisor with another one, as the local cloud in a test's subprocess would.
SUPERVISOR = """
import os, signal, sys, time
from pathlib import Path
from local.processes import Processes

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
script, depth, ending, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])

def end_with_the_tests():
    # Of the inner one only its watchdog may see to it: that is what is tested.
    if depth and os.getppid() != int(sys.argv[5]):
        sys.exit(5)

with Processes() as processes:
    processes.start(["sh", "-c", script], env=os.environ, log=folder / f"{depth}.log", name="unruly")
    if depth:
        inner = [sys.executable, __file__, script, str(depth - 1), "wait", str(folder)]
        processes.start(inner, env=os.environ, log=folder / "inner.log", name="inner")
    (folder / f"{depth}.started").touch()
    while not (folder / "end").exists():
        end_with_the_tests()
        time.sleep(0.01)
    if ending == "exit":
        sys.exit(3)
    if ending == "crash":
        os._exit(4)
    while True:
        end_with_the_tests()
        time.sleep(1)
"""


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


@pytest.fixture
def mark() -> str:
    """A number of seconds to sleep that no other process sleeps."""
    return f"1000.{os.getpid()}{time.monotonic_ns()}"


def marked(mark: str) -> list[psutil.Process]:
    """The living processes of a test, found by their arguments, in whatever session, group or environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark in process.cmdline() and _is_alive(process):
                found.append(process)
    return found


def unruly(mark: str) -> str:
    return UNRULY.format(mark=mark, python=sys.executable)


@pytest.mark.parametrize(
    ("ending", "end", "code"),
    [
        ("exit", None, 3),
        ("crash", None, 4),
        ("wait", signal.SIGINT, -signal.SIGINT),
        ("wait", signal.SIGTERM, -signal.SIGTERM),
        ("wait", signal.SIGKILL, -signal.SIGKILL),
    ],
    ids=["normal-exit", "crash", "ctrl-c", "sigterm", "sigkill"],
)
def test_nothing_outlives_the_supervisor(
    ending: str, end: signal.Signals | None, code: int, mark: str, tmp_path: Path
) -> None:
    file, temporary = tmp_path / "supervisor.py", tmp_path / "temporary"
    file.write_text(textwrap.dedent(SUPERVISOR))
    temporary.mkdir()
    supervisor = subprocess.Popen(
        [sys.executable, file, unruly(mark), "1", ending, tmp_path, str(os.getpid())],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: len(marked(mark)) == 2 * UNRULY_COUNT, within_s=30)
        watchdogs = [
            process for process in psutil.Process(supervisor.pid).children(recursive=True) if _watches(process)
        ]
        assert len(watchdogs) == 2
        (tmp_path / "end").touch()
        if end is not None:
            supervisor.send_signal(end)
        assert supervisor.wait(timeout=20) == code
        eventually(lambda: not marked(mark))
        eventually(lambda: not any(_is_alive(process) for process in watchdogs))
        assert list(temporary.iterdir()) == []
    finally:
        supervisor.kill()
        supervisor.wait()
        _clear_away(mark)


def _clear_away(mark: str) -> None:
    """What a failed test left, also those who have the mark only within a script."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(mark in part for part in process.cmdline()):
                process.kill()


def _is_alive(process: psutil.Process) -> bool:
    """A zombie is gone: it only waits for its parent to notice."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _watches(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(part.endswith("watchdog.py") for part in process.cmdline())
    return False


@pytest.mark.parametrize("stop", ["stop", "kill"])
def test_stopping_a_child_ends_all_it_started_and_nothing_else(
    stop: str, processes: Processes, mark: str, tmp_path: Path
) -> None:
    other = processes.start(["sleep", "1000"], env=os.environ, log=tmp_path / "other.log", name="other")
    child = processes.start(["sh", "-c", unruly(mark)], env=os.environ, log=tmp_path / "log", name="unruly")
    eventually(lambda: len(marked(mark)) == UNRULY_COUNT)
    code = child.stop(grace_s=1) if stop == "stop" else child.kill()
    assert code == (-signal.SIGTERM if stop == "stop" else -signal.SIGKILL)
    assert marked(mark) == []
    assert other.poll() is None


def test_children_that_a_finished_program_left_behind_go_with_it(
    processes: Processes, mark: str, tmp_path: Path
) -> None:
    child = processes.start(["sh", "-c", f"setsid sleep {mark} & exit 7"], env=os.environ, log=tmp_path / "l", name="c")
    assert child.wait(10) == 7
    eventually(lambda: [process.cmdline()[0] for process in marked(mark)] == ["sleep"])
    assert child.kill() == 7
    assert marked(mark) == []


def test_looking_for_strays_leaves_no_descriptor_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(process: Path, leash: str) -> bool:
        raise PermissionError(process)

    monkeypatch.setattr(watchdog, "_carries", unreadable)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    watchdog.kill_leashed("nobody's")
    assert len(list(descriptors.iterdir())) == before


def test_child_that_ignores_sigterm_is_killed_after_its_grace_time(processes: Processes, tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    child = processes.start(["sh", "-c", script], env=os.environ, log=tmp_path / "log", name="stubborn")
    wait_ready(child, lambda: "ready" in child.log_tail(), within_s=10)
    started = time.monotonic()
    assert child.stop(grace_s=0.3) == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - started < 20


def test_child_may_end_well_within_its_grace_time(processes: Processes, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    child = processes.start(["sh", "-c", script], env=os.environ, log=tmp_path / "log", name="polite")
    wait_ready(child, lambda: "ready" in child.log_tail(), within_s=10)
    assert child.stop(grace_s=10) == 0
    assert child.log_tail().splitlines() == ["ready", "bye"]


def test_closing_gives_all_children_one_grace_time_together(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    polite = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    processes = Processes()
    children = [
        processes.start(["sh", "-c", script], env=os.environ, log=tmp_path / str(number), name=str(number))
        for number, script in enumerate((stubborn, polite, stubborn, stubborn))
    ]
    for child in children:
        wait_ready(child, lambda child=child: "ready" in child.log_tail(), within_s=10)
    started = time.monotonic()
    processes.close(grace_s=3)
    # One after another, the three that are deaf would take nine.
    assert 3 <= time.monotonic() - started < 9
    assert [child.poll() for child in children] == [-signal.SIGKILL, 0, -signal.SIGKILL, -signal.SIGKILL]
    assert children[1].log_tail().splitlines() == ["ready", "bye"]


def test_child_sees_the_given_environment_alone(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(["/usr/bin/env"], env={"MINE": "1"}, log=tmp_path / "log", name="env")
    assert child.wait(10) == 0
    names = {line.partition("=")[0] for line in child.log_tail().splitlines()}
    assert names == {"MINE", "LOCAL_CLOUD_LEASH", "TMPDIR"}


def test_temporary_files_go_with_a_child_that_is_killed(tmp_path: Path) -> None:
    with Processes() as processes:
        scripts = ("mktemp; mktemp -d; exec sleep 1000", "exec sleep 1000")
        messy, other = (
            processes.start(
                ["sh", "-c", f"echo $TMPDIR; {script}"], env=os.environ, log=tmp_path / script[:6], name="c"
            )
            for script in scripts
        )
        wait_ready(messy, lambda: len(messy.log_tail().splitlines()) == 3, within_s=10)
        wait_ready(other, lambda: bool(other.log_tail()), within_s=10)
        mine, theirs = Path(messy.log_tail().splitlines()[0]), Path(other.log_tail())
        assert len(list(mine.iterdir())) == 2
        messy.kill()
        assert not mine.exists()
        assert theirs.exists()
    assert not mine.parent.exists()


def test_child_that_dies_at_once_is_reported_with_its_last_words(processes: Processes, tmp_path: Path) -> None:
    script = "echo no such option >&2; exit 2"
    child = processes.start(["sh", "-c", script], env=os.environ, log=tmp_path / "log", name="emulator")
    with pytest.raises(StartFailed, match=r"emulator ended with exit code 2 instead of starting\nno such option"):
        wait_ready(child, lambda: False, within_s=10)


def test_child_that_never_answers_is_reported(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(["sleep", "1000"], env=os.environ, log=tmp_path / "log", name="emulator")
    with Ports() as ports, pytest.raises(StartFailed, match=r"emulator did not answer within 0\.1 s"):
        wait_ready(child, tcp_ready(ports.take()), within_s=0.1)


def test_missing_program_is_named(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="no-such-program"):
        processes.start(["no-such-program"], env=os.environ, log=tmp_path / "log", name="tool")


def test_closed_supervisor_starts_nothing(tmp_path: Path) -> None:
    with Processes() as processes:
        pass
    with pytest.raises(StartFailed, match="stopping"):
        processes.start(["sleep", "1"], env=os.environ, log=tmp_path / "log", name="late")


@pytest.mark.parametrize("probe", [tcp_ready, lambda port: http_ready(f"http://{LOOPBACK}:{port}/")])
def test_server_listens_on_a_reserved_port_and_again_after_a_crash(
    probe: Callable[[int], Callable[[], bool]], processes: Processes, tmp_path: Path
) -> None:
    with Ports() as ports:
        port = ports.take()
        argv = [sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "--directory", tmp_path]
        assert probe(port)() is False
        for _ in range(2):
            child = processes.start(argv, env=os.environ, log=tmp_path / "log", name="server")
            wait_ready(child, probe(port), within_s=20)
            child.kill()
