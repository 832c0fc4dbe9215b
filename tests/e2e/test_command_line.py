"""The stable commands, as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.assets import Assets
from local.cloud import local_cloud
from local.functions import ROOT, python_environment
from local.processes import Processes, wait_ready
from local.profile import Profile
from tests.e2e.driver import Driver
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_run_prints_one_json_document_and_exits_0(recordings: Path) -> None:
    done = command("local", "run", str(recordings / "short.wav"), "--operations", "probe,transcribe", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["state"], record["destination"]) == ("succeeded", "gpu-tasks")
    cost = record["cost"]
    assert (cost["machine"], cost["alternative"]["route"]) == ("gpu-job", "gke")
    assert cost["seconds"] >= record["processing_seconds"]
    assert 0 < cost["amount"] < 1
    assert "it was the best of times" in record["result"]["transcribe"]["text"].lower()
    assert (Path(record["folder"]) / "transcript.srt").is_file()


def test_run_exits_1_when_the_job_failed(recordings: Path) -> None:
    done = command("local", "run", str(recordings / "text.mp4"), "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "unsupported_media"


@pytest.mark.parametrize(
    "arguments",
    [(), ("run",), ("run", "nothing-here.mp4"), ("run", "README.md", "--operations", "dance"), ("fly", "x")],
)
def test_bad_usage_exits_2_and_says_why(arguments: tuple[str, ...]) -> None:
    done = command("local", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()


def test_without_java_or_the_emulator_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    done = command("local", "run", "README.md", PATH=str(tmp_path), JAVA_HOME=str(tmp_path))
    assert done.returncode == 3
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("local: ")
    assert "apt-get install" in message


def test_two_clouds_side_by_side_do_not_meet(hub: Driver, assets: Assets, recordings: Path, tmp_path: Path) -> None:
    with local_cloud(Profile(model=assets.model)) as other:
        neighbour = Driver(other, tmp_path)
        first, second = (
            hub.upload(recordings / "short.wav", "a.wav"),
            neighbour.upload(recordings / "short.wav", "b.wav"),
        )
        assert hub.ended(first).state == neighbour.ended(second).state == "succeeded"
        assert hub.job(second) is None
        assert neighbour.job(first) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_cloud(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    # Its watchdog acts after the test, or when the tests themselves are killed.
    with Processes() as processes:
        up = processes.start(
            [sys.executable, "-u", "-m", "local", "up"], env=python_environment(), log=log, name="up", cwd=ROOT
        )
        wait_ready(up, lambda: "HUB_URL" in log.read_text(), within_s=120)
        family = psutil.Process(up.pid).children(recursive=True)
        assert len(family) > 8
        os.kill(up.pid, number)
        assert up.wait(60) is not None
        eventually(lambda: not any(_lives(process) for process in family), "all children are gone", within_s=30)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_hubctl_submits_watches_and_lists(hub: Driver, recordings: Path) -> None:
    place = {"HUB_URL": hub.cloud.url, "HUB_API_KEY": hub.cloud.profile.api_key}
    done = command(
        "hubctl", "submit", str(recordings / "short.mp3"), "--operations", "probe", "--watch", "--json", **place
    )
    assert done.returncode == 0, done.stderr
    job_id = json.loads(done.stdout)["job_id"]
    listed = command("hubctl", "list", "--json", **place)
    assert job_id in listed.stdout
    assert command("hubctl", "get", job_id, **place).returncode == 0
    refused = command("hubctl", "cancel", job_id, **place)
    assert (refused.returncode, "cannot be cancelled" in refused.stderr) == (3, True)
