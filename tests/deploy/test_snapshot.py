"""Reading a project: only what can be there, and all that plans compare with."""

from __future__ import annotations

from typing import Any

from deploy.access import Grant, Resource
from deploy.command import Command
from deploy.live import Live, is_as
from deploy.snapshot import lists, snapshot
from shared.errors import NotFound
from tests.deploy.projects import target


class Project:
    """Answers lists by their words, and says what it was asked."""

    def __init__(self, *apis: str, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "services list": [{"name": f"projects/1/services/{api}.googleapis.com"} for api in apis],
            **{words.replace("_", " "): answer for words, answer in answers.items()},
        }
        self.asked: list[str] = []

    def read(self, *arguments: str) -> Any:
        line = " ".join(arguments)
        self.asked.append(line)
        found = [answer for words, answer in self.answers.items() if line.startswith(words)]
        if not found and line.startswith("artifacts docker images describe"):
            raise NotFound("no image")
        return found[0] if found else {} if "get-iam-policy" in line else []

    def text(self, *arguments: str) -> str:
        raise AssertionError(arguments)

    def run(self, command: Command) -> None:
        raise AssertionError(command)


def test_what_belongs_to_an_api_that_is_off_is_not_asked_for() -> None:
    """Nothing of it can be there, and gcloud would fail."""
    project = Project("pubsub")
    live = snapshot(project, target())
    assert {line.split(" --")[0] for line in project.asked} == {
        "services list", "pubsub topics list", "pubsub subscriptions list", "projects get-iam-policy hub-stg",
    }  # fmt: skip
    assert live.apis == {"pubsub.googleapis.com"}


def test_every_read_names_the_project_and_changes_nothing() -> None:
    apis = {api for api, _ in lists(target()).values()}
    project = Project(*apis, pubsub_topics_list=[{"name": "projects/p/topics/alerts"}])
    snapshot(project, target())
    assert len(project.asked) > len(lists(target()))
    assert all("hub-stg" in line for line in project.asked)
    assert all({"list", "describe", "get-iam-policy"} & set(line.split()) for line in project.asked)


def test_rights_are_read_of_what_is_there_alone() -> None:
    topic = {"name": "projects/p/topics/alerts"}
    policy = {
        "bindings": [
            {"role": "roles/pubsub.publisher", "members": ["serviceAccount:a"]},
            {"role": "roles/pubsub.viewer", "members": ["user:b"], "condition": {"expression": "x"}},
        ]
    }
    project = Project("pubsub", pubsub_topics_list=[topic])
    project.answers["pubsub topics get-iam-policy alerts"] = policy
    live = snapshot(project, target())
    assert live.grants == {Grant(Resource("topic", "alerts"), "roles/pubsub.publisher", "serviceAccount:a")}
    assert not [line for line in project.asked if "get-iam-policy gpu-tasks" in line]


def test_image_that_was_not_built_has_no_digest() -> None:
    described = {"image_summary": {"digest": "sha256:1"}}
    image = target().image("gpu-worker")
    project = Project("artifactregistry", artifacts_repositories_list=[{"name": "x/repositories/nca-fanout"}])
    project.answers[f"artifacts docker images describe {image}:v2"] = described
    assert snapshot(project, target()).digests == {"gpu-worker": "sha256:1"}


def test_fields_that_google_adds_do_not_count_as_a_difference() -> None:
    assert is_as({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}})
    assert not is_as({"a": {"b": 2}}, {"a": {"b": 1}})
    assert not is_as(None, {"a": 1})
    assert not is_as({"a": [1, 2]}, {"a": [1]})


def test_a_new_project_is_an_empty_snapshot() -> None:
    assert snapshot(Project(), target()) == Live({"apis": ()})
