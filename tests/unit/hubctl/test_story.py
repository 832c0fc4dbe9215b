"""`hubctl story`: every hop of a job over its attempts and submissions, from the log and from the record."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.log import JsonFormatter
from shared.redrive import redrive
from tests.fakes.processor import FakeProcessor, fail, succeed
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, World
from tests.unit.hubctl.desk import Desk, sitting


@contextmanager
def logged(file: Path, services: Any) -> Iterator[None]:
    """The process's log in a file, its times by the test's clock."""
    handler = logging.FileHandler(file)
    handler.setFormatter(JsonFormatter("shop-prod"))
    handler.addFilter(lambda line: setattr(line, "created", services.now().timestamp()) is None)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "pubsub.log").write_text("no JSON\n[]\n")
    return folder


@pytest.fixture
def told(logs: Path) -> Iterator[tuple[Desk, str]]:
    """A job that was given up after two attempts, redriven, and succeeded."""
    world = World(
        fake_services(**NO_BEATS, max_attempts=2), FakeProcessor([fail(Unavailable("down"))] * 2 + [succeed()])
    )
    with logged(logs / "worker.log", world.services):
        job_id = world.submit().job.job_id
        world.settle()
        redrive(job_id, world.services)
        world.settle()
    with sitting(world.services) as desk:
        yield desk, job_id


def hops(desk: Desk, *args: str) -> list[dict[str, Any]]:
    result = desk.hubctl("story", *args, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["hops"]
    return found


STATES = [
    ("job.submitted", 1, 0),
    ("job.started", 1, 1),
    ("job.attempt_failed", 1, 1),
    ("job.started", 1, 2),
    ("job.attempt_failed", 1, 2),
    ("job.dead_lettered", 1, 2),
    ("job.redriven", 2, 2),
    ("job.started", 2, 3),
    ("job.succeeded", 2, 3),
]


def test_a_story_has_every_hop_of_every_attempt_and_submission(told: tuple[Desk, str], logs: Path) -> None:
    desk, job_id = told
    found = hops(desk, job_id, "--logs", str(logs))
    changes = [(hop["event"], hop["submission"], hop["attempt"]) for hop in found if "to" in hop["facts"]]
    assert changes == STATES
    assert not any(hop["is_from_record"] for hop in found)
    last = [hop["event"] for hop in found if hop["submission"] == 2]
    assert last == [
        "job.redriven", "job.sent", "job.started", "job.stage", "job.stage", "job.stage", "job.artifacts",
        "job.succeeded", "job.closed",
    ]  # fmt: skip
    times = [datetime.fromisoformat(hop["at"]) for hop in found]
    assert times == sorted(times)


def test_what_the_log_does_not_tell_the_record_does(told: tuple[Desk, str]) -> None:
    desk, job_id = told
    found = hops(desk, job_id)
    assert [(hop["event"], hop["submission"], hop["attempt"]) for hop in found] == STATES
    assert all(hop["is_from_record"] for hop in found)


def test_a_line_that_was_lost_is_made_good_by_the_record(told: tuple[Desk, str], logs: Path) -> None:
    desk, job_id = told
    lines = (logs / "worker.log").read_text().splitlines()
    (logs / "worker.log").write_text("\n".join(line for line in lines if "job.dead_lettered" not in line))
    made_good = [hop["event"] for hop in hops(desk, job_id, "--logs", str(logs)) if hop["is_from_record"]]
    assert made_good == ["job.dead_lettered"]


def test_on_the_terminal_each_hop_is_a_row_with_the_seconds_since_the_one_before(
    told: tuple[Desk, str], logs: Path
) -> None:
    desk, job_id = told
    text = desk.hubctl("story", job_id, HUB_LOGS=str(logs)).stdout
    assert f"{job_id} is succeeded" in text
    assert "submission 2" in text
    (row,) = [line for line in text.splitlines() if "job.redriven" in line]
    assert "dead_lettered → queued" in row
    assert row.split()[1].startswith("+")


def test_deployed_cloud_logging_is_asked_by_gcloud(
    told: tuple[Desk, str], logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, job_id = told
    lines = [json.loads(line) for line in (logs / "worker.log").read_text().splitlines()]
    entries = [
        {
            "timestamp": line["time"],
            "labels": line.get("logging.googleapis.com/labels", {}),
            "trace": "projects/shop-prod/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "jsonPayload": {name: value for name, value in line.items() if name not in ("time", "severity")},
        }
        for line in lines
        if job_id in json.dumps(line)
    ]
    (tmp_path / "entries.json").write_text(json.dumps(entries))
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/entries.json\n')
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin")
    answer = json.loads(desk.hubctl("story", job_id, "--project", "shop-prod", "--json").stdout)
    assert [hop["event"] for hop in answer["hops"] if "to" in hop["facts"]] == [event for event, _, _ in STATES]
    assert answer["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    asked = (tmp_path / "asked").read_text()
    assert f'labels.job_id="{job_id}"' in asked
    assert "--project=shop-prod" in asked
    gcloud.write_text("#!/bin/sh\necho 'ERROR: (gcloud.logging.read) PERMISSION_DENIED' >&2\nexit 1\n")
    refused = desk.hubctl("story", job_id, "--project", "shop-prod")
    assert (refused.exit_code, "PERMISSION_DENIED" in refused.stderr) == (3, True)


def test_a_folder_that_is_none_and_a_job_that_is_none_are_told_in_a_sentence(told: tuple[Desk, str]) -> None:
    desk, job_id = told
    assert desk.hubctl("story", job_id, "--logs", "nowhere").exit_code == 2
    assert desk.hubctl("story", "0" * 32).exit_code == 3
