"""What the command line refuses to take away, to move, or to crash on."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from deploy.faults import CannotDeploy
from deploy.live import Live
from deploy.session import Session
from tests.deploy.command_line import PROD, WHERE, Project, deploy
from tests.deploy.projects import NUMBER, on_trial, promoted, target, with_settings

TAKES_AWAY = (("destroy", "--yes"), ("cleanup",), ("rollback",))
MOVES = (("canary", "10"), ("promote",), ("gke", "up"), ("gke", "down"))


def running(project: str, env: str) -> dict[str, Any]:
    """Answers for a project that has been deployed."""
    live = with_settings(promoted(target()), {"v2": {"GPU_REGION": "asia-southeast1"}})
    labels = {"app": "nca-fanout", "env": env}
    return {
        "projects describe": {"projectId": project, "projectNumber": NUMBER},
        "services list": [{"name": "x/run.googleapis.com"}, {"name": "x/pubsub.googleapis.com"}],
        "pubsub topics list": [{"name": f"projects/{project}/topics/alerts", "labels": labels}],
        "run services list": list(live.lists["services"]),
        "run revisions list": list(live.lists["revisions"]),
    }


@pytest.mark.parametrize("command", [*TAKES_AWAY, *MOVES])
def test_prod_is_not_touched_as_stg(command: tuple[str, ...]) -> None:
    cloud = Project(running("hub-stg", "prod"))
    code, out = deploy(cloud, *command, *WHERE, "--version", "v2")
    assert (code, cloud.changes) == (1, [])
    assert "labelled env=prod, and --env is stg" in out


@pytest.mark.parametrize("command", [*TAKES_AWAY, *MOVES])
def test_forgotten_gpu_region_stops_what_would_miss_the_job(command: tuple[str, ...]) -> None:
    cloud = Project(running("hub-stg", "stg"))
    where = [each for each in WHERE if each not in ("--gpu-region", "asia-southeast1")]
    code, out = deploy(cloud, *command, *where, "--version", "v2")
    assert (code, cloud.changes) == (1, [])
    assert "--gpu-region is asia-northeast1: use asia-southeast1" in out


@pytest.mark.parametrize(
    ("live", "version", "said"),
    [
        (promoted(target()), "v9", "version v2 serves, and --version is v9: check v2 out"),
        (on_trial(target()), "v1", "a canary of version v2 is running"),
    ],
)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_gke_is_no_release(live: Live, version: str, said: str, direction: str) -> None:
    answers = running("hub-stg", "stg")
    shown = with_settings(live, {})
    answers |= {
        "run services list": list(shown.lists["services"]),
        "run revisions list": list(shown.lists["revisions"]),
    }
    cloud = Project({**answers, "container clusters list": [{"name": "nca-auto-gpu"}]})
    cloud_services = [*answers["services list"], {"name": "x/container.googleapis.com"}]
    cloud._answers["services list"] = cloud_services
    code, out = deploy(cloud, "gke", direction, *WHERE, "--version", version)
    assert (code, cloud.changes) == (1, [])
    assert said in out


def test_a_folder_of_secrets_that_is_none_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        deploy(Project(), "plan", *WHERE, "--secrets-dir", "/nope")
    assert caught.value.code == 2
    assert "--secrets-dir /nope: there is no such folder" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    class WithKey(Project):
        def text(self, *arguments: str) -> str:
            return json.dumps([{"name": "ops", "key": "secret-operator-key", "sees": "all"}])

    code, out = deploy(WithKey(), "smoke", *WHERE, "--file", "/nope.wav")
    assert (code, out) == (1, "✗ /nope.wav: No such file or directory.\n")


def test_status_tells_the_rest_where_monitoring_may_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden:
        def ask(self, query: str) -> list[Any]:
            raise CannotDeploy("GET monitoring.googleapis.com: 403 Forbidden.")

    monkeypatch.setattr(Session, "metrics", lambda session: Forbidden())
    code, out = deploy(Project(running("hub-stg", "stg")), "status", *WHERE)
    assert code == 0, out
    assert "backlog     not known: no access to Cloud Monitoring" in out


@pytest.mark.parametrize(
    ("env", "typed", "done"),
    [("stg", "", True), ("prod", "", False), ("prod", "hub-stg\n", False), ("prod", "hub-prod\n", True)],
)
def test_prod_is_destroyed_only_by_its_name(env: str, typed: str, done: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    cloud = Project(running(f"hub-{env}", env))
    code, out = deploy(cloud, "destroy", "--yes", *(WHERE if env == "stg" else PROD))
    assert (code == 0, bool(cloud.changes)) == (done, done), out


def test_cleanup_without_the_set_that_serves_is_refused() -> None:
    live = with_settings(promoted(target()), {"v2": {"GPU_FILE_TYPES": "mp4,mkv"}})
    cloud = Project({**running("hub-stg", "stg"), "run revisions list": list(live.lists["revisions"])})
    code, out = deploy(cloud, "cleanup", *WHERE)
    assert (code, cloud.changes) == (1, [])
    assert "what serves has GPU_FILE_TYPES=mkv,mp4" in out
    assert deploy(cloud, "cleanup", *WHERE, "--set", "GPU_FILE_TYPES=mp4,mkv")[0] == 0
    assert [title for title in cloud.changes if title.startswith("run revisions delete")]
