"""Commands from the command line's side: usage, and that nothing is changed when something is wrong."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.cli import main
from deploy.command import Command
from deploy.faults import CannotDeploy
from shared.errors import NotFound
from tests.deploy.projects import NUMBER, promoted, target, with_settings

WHERE = ("--project", "hub-stg", "--region", "asia-northeast1", "--gpu-region", "asia-southeast1", "--env", "stg")
PROD = ("--project", "hub-prod", "--region", "asia-northeast1", "--gpu-region", "asia-southeast1", "--env", "prod")
TOOLS = {"Google Cloud SDK": "528.0.0", "alpha": "1", "beta": "1"}
L4 = {"dimensionsInfos": [{"dimensions": {"region": "asia-southeast1"}, "details": {"value": "3"}}]}


class Project:
    """A project with nothing in it, that answers by gcloud's words; what changes it is written down."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self._answers = {
            "version": TOOLS,
            "projects describe": {"projectId": "hub-stg", "projectNumber": NUMBER, "lifecycleState": "ACTIVE"},
            "billing projects describe": {"billingEnabled": True},
            "beta quotas info describe": L4,
            **(answers or {}),
        }
        self.changes: list[str] = []

    def read(self, *arguments: str) -> Any:
        line = " ".join(arguments)
        if line.startswith("artifacts docker images describe"):
            raise NotFound("no such image")
        found = [answer for words, answer in self._answers.items() if line.startswith(words)]
        if found and isinstance(found[-1], Exception):
            raise found[-1]
        return found[-1] if found else {} if "get-iam-policy" in line else []

    def text(self, *arguments: str) -> str:
        raise CannotDeploy("not logged in")

    def run(self, command: Command) -> None:
        self.changes.append(command.title)


def deploy(cloud: Project, *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(arguments, out, cloud), out.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("up",),
        ("up", *WHERE[:-1], "dev"),
        ("canary", *WHERE),
        ("canary", "100", *WHERE),
        ("gke", "sideways", *WHERE),
        ("up", *WHERE, "--set", "MAX_GPU_EXECUTIONS"),
        ("up", *WHERE, "--version", "v1.0"),
    ],
)
def test_bad_usage_is_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        deploy(Project(), *arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        deploy(Project(), "--help")
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("prepare", "rollback", "the first time:", "exit status:"))
    assert all(len(line) <= 120 for line in said.splitlines())


def test_plan_asks_nobody_and_changes_nothing() -> None:
    class Nobody(Project):
        def read(self, *arguments: str) -> Any:
            raise AssertionError(arguments)

    cloud = Nobody()
    code, said = deploy(cloud, "plan", *WHERE, "--version", "v2")
    assert code == 0
    assert cloud.changes == []
    lines = [line for line in said.splitlines() if not line.startswith("#")]
    assert len(lines) > 150
    assert all(line.startswith("gcloud ") for line in lines)
    assert "service-PROJECT_NUMBER@" in said
    assert f"service-{NUMBER}@" in deploy(cloud, "plan", *WHERE, "--project-number", NUMBER)[1]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"projects describe": CannotDeploy("gcloud is not logged in: run `gcloud auth login`.")}, "not logged in"),
        ({"version": {"Google Cloud SDK": "400.0.0", "alpha": "1", "beta": "1"}}, "gcloud 400 is too old"),
        ({"billing projects describe": {"billingEnabled": False}}, "has no billing account"),
        (
            {"services list": [{"name": "x/storage.googleapis.com"}],
             "storage buckets list": [{"name": "hub-stg-nca-state", "location": "US"}]},
            "hub-stg-nca-state is in us",
        ),
        (
            {"services list": [{"name": "x/cloudquotas.googleapis.com"}],
             "beta quotas info describe": {"dimensionsInfos": []}},
            "offers no L4",
        ),
        (
            {"services list": [{"name": "x/artifactregistry.googleapis.com"}],
             "artifacts repositories list": [{"name": "nca-fanout"}]},
            "gpu-worker:v2, cpu-worker:v2",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_changed(answers: dict[str, Any], said: str) -> None:
    cloud = Project(answers)
    code, out = deploy(cloud, "up", *WHERE, "--version", "v2")
    assert code == 1
    assert said in out.splitlines()[-1]
    assert out.splitlines()[-1].startswith("✗ ")
    assert cloud.changes == []


def test_all_faults_are_said_at_once() -> None:
    cloud = Project(
        {"version": {"Google Cloud SDK": "400.0.0"}, "billing projects describe": {"billingEnabled": False}}
    )
    _, out = deploy(cloud, "up", *WHERE)
    assert [line[:9] for line in out.splitlines()] == ["✗ gcloud ", "✗ gcloud'", "✗ the pro"]


def test_new_project_is_prepared_for_the_first_build() -> None:
    cloud = Project()
    code, out = deploy(cloud, "up", *WHERE, "--version", "v2")
    assert code == 1
    assert "let Cloud Build make the images" in out
    assert "artifacts repositories create nca-fanout" in cloud.changes
    assert not [title for title in cloud.changes if title.startswith("run deploy")]


def test_gpu_check_can_be_left_out() -> None:
    cloud = Project({"beta quotas info describe": {"dimensionsInfos": []}})
    assert "offers no L4" in deploy(cloud, "up", *WHERE)[1]
    assert "offers no L4" not in deploy(cloud, "up", *WHERE, "--no-gpu-check")[1]


def running(project: str, version: str, hours: float = 48) -> dict[str, Any]:
    """Answers for a project that has had this version for so long."""
    created = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    where = f"--region=asia-northeast1 --project={project}"
    live = promoted(target())
    revisions = [
        {**each, "metadata": {**each["metadata"], "creationTimestamp": created,
                              "labels": {**each["metadata"]["labels"], "version": version}}}
        for each in live.lists["revisions"]
    ]  # fmt: skip
    services = list(live.lists["services"])
    return {f"run services list {where}": services, f"run revisions list {where}": revisions}


def stg(version: str, hours: float) -> dict[str, Any]:
    return running("hub-stg", version, hours)


def moved_on() -> dict[str, Any]:
    """Stg has had v2 for long, and v3 for an hour."""
    answers = stg("v2", 48)
    for words, found in stg("v3", 1).items():
        if words.startswith("run revisions"):
            newer = [each for each in found if each["metadata"]["name"].endswith("-2")]
            older = [each for each in answers[words] if not each["metadata"]["name"].endswith("-2")]
            answers[words] = [*older, *newer]
    return answers


@pytest.mark.parametrize(
    ("answers", "options", "said"),
    [
        ({}, (), "prod wants --stg-project"),
        ({}, ("--stg-project", "hub-stg"), "stg (hub-stg) has no revision of version v2 for on_upload that is ready"),
        (
            stg("v1", 48),
            ("--stg-project", "hub-stg"),
            "no revision of version v2 for on_upload that is ready: deploy it there",
        ),
        (stg("v2", 1), ("--stg-project", "hub-stg"), "has had version v2 only since"),
        (stg("v2", 48), ("--stg-project", "hub-stg"), None),
        (stg("v2", 3), ("--stg-project", "hub-stg", "--stg-hours", "2"), None),
        (moved_on(), ("--stg-project", "hub-stg"), None),
        (running("hub-prod", "v2", 1), (), None),
        (running("hub-prod", "v1"), (), "prod wants --stg-project"),
        ({}, ("--force",), None),
    ],
)
def test_prod_gets_what_stg_has_had_for_a_while(
    answers: dict[str, Any], options: tuple[str, ...], said: str | None
) -> None:
    described = {"projectId": "hub-prod", "projectNumber": NUMBER}
    cloud = Project({"projects describe": described, **answers})
    _, out = deploy(cloud, "up", *PROD, "--version", "v2", *options)
    assert (said or "let Cloud Build make the images") in out
    assert bool(cloud.changes) is (said is None)


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
