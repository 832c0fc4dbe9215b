"""Commands from the command line's side: usage, and that nothing is changed when something is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.faults import CannotDeploy
from tests.deploy.command_line import PROD, WHERE, Project, deploy
from tests.deploy.projects import NUMBER, promoted, target


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
