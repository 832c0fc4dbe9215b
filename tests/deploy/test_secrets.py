"""Secrets: where values come from, which version functions are given, and that no value is ever shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from deploy import phases, secret_versions
from deploy.command import Command, SecretValue, typed
from deploy.faults import CannotDeploy
from deploy.functions import labels
from deploy.gcloud import RealCloud
from deploy.live import Live
from deploy.secret_values import read_secret, secret_value
from deploy.situation import Situation
from shared.resources import declared
from shared.settings import parse
from tests.deploy.projects import target


def with_versions(**states: tuple[str, ...]) -> Live:
    """Secrets by their settings; versions 1, 2, … in these states."""
    found = {
        declared().secrets[setting].name: tuple(
            {"name": f"projects/1/secrets/s/versions/{number}", "state": state} for number, state in enumerate(each, 1)
        )
        for setting, each in states.items()
    }
    return Live(versions=found)


def test_on_a_new_project_required_ones_are_made_up_and_optional_ones_stay_empty() -> None:
    required = {setting for setting, secret in declared().secrets.items() if not secret.optional}
    assert set(secret_versions.new_values(target(), Live())) == required
    assert secret_versions.versions(target(), Live()) == dict.fromkeys(required, "1")


def test_a_value_that_is_there_is_left_alone() -> None:
    live = with_versions(API_KEYS=("ENABLED",), WEBHOOK_SECRET=("ENABLED",), ALERT_TOKEN=("ENABLED",))
    assert secret_versions.new_values(target(), live) == {}


def test_newest_version_that_can_be_read_is_given() -> None:
    live = with_versions(API_KEYS=("DESTROYED", "ENABLED", "DISABLED"))
    assert secret_versions.versions(target(), live)["API_KEYS"] == "2"


def test_next_version_is_numbered_after_all_that_ever_were() -> None:
    live = with_versions(API_KEYS=("DESTROYED", "DESTROYED"))
    assert secret_versions.versions(target(), live)["API_KEYS"] == "3"


def test_file_with_another_value_is_a_new_version_and_a_new_revision(tmp_path: Path) -> None:
    (tmp_path / "ALERT_TOKEN").write_text("another\n")
    wanted = target(secrets_dir=tmp_path)
    live = with_versions(ALERT_TOKEN=("ENABLED",))
    present = Live(versions=live.versions, secret_texts={"ALERT_TOKEN": "the old"})
    assert secret_versions.versions(wanted, present)["ALERT_TOKEN"] == "2"
    before, after = (labels(each, present, Situation(), "alert_relay") for each in (target(), wanted))
    assert before["config"] != after["config"]


def test_file_with_the_same_value_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ALERT_TOKEN").write_text("the same\n")
    live = Live(versions=with_versions(ALERT_TOKEN=("ENABLED",)).versions, secret_texts={"ALERT_TOKEN": "the same"})
    assert "ALERT_TOKEN" not in secret_versions.new_values(target(secrets_dir=tmp_path), live)


def test_function_is_given_an_optional_secret_once_it_has_a_version(tmp_path: Path) -> None:
    (tmp_path / "N8N_ALERT_URL").write_text("https://n8n.example.com/alerts")
    plan = phases.up(target(secrets_dir=tmp_path), Live())
    (deploy,) = [each for phase in plan for each in phase.commands if each.title == "run deploy alert-relay"]
    (given,) = [str(each) for each in deploy.arguments if str(each).startswith("--set-secrets")]
    assert "N8N_ALERT_URL=nca-n8n-alert-url:1" in given
    assert "SLACK" not in given


def test_made_up_values_are_such_as_the_functions_accept() -> None:
    keys, signing = (secret_value(SecretValue(name, None)) for name in ("API_KEYS", "WEBHOOK_SECRET"))
    ((key,),) = [json.loads(keys)]
    assert len(key["key"]) >= 40
    assert len(base64.b64decode(signing.removeprefix("whsec_"))) == 32
    settings = parse(environment() | {"API_KEYS": keys, "WEBHOOK_SECRET": signing})
    assert settings.api_keys[0].sees == "all"
    assert secret_value(SecretValue("API_KEYS", None)) != keys


def environment() -> dict[str, str]:
    names = ("PROJECT", "REGION", "GPU_REGION", "UPLOADS_BUCKET", "RESULTS_BUCKET", "STATE_BUCKET")
    urls = ("INGEST_URL", "DISPATCH_URL", "DELIVER_URL", "INVOKER_ACCOUNTS", "AUDIENCES", "TASKS_ACCOUNT")
    return dict.fromkeys((*names, *urls), "x")


def test_plan_says_where_a_value_comes_from_and_not_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "API_KEYS").write_text("s3cret")
    lines = [typed(each) for each in secret_versions.fill(target(secrets_dir=tmp_path), Live())]
    assert any(line.endswith(f"# API_KEYS by standard input: {tmp_path / 'API_KEYS'}") for line in lines)
    assert any(line.endswith("# ALERT_TOKEN by standard input: a new random value") for line in lines)
    assert "s3cret" not in "".join(lines)


def test_value_reaches_the_tool_by_standard_input_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool writes down what it is given, and fails: the error must not know the value."""
    tool = tmp_path / "gcloud"
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments; cat > {tmp_path}/input; echo broken >&2; exit 1\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "TOKEN").write_text("s3cret\n")
    command = Command(
        ("secrets", "versions", "add", "s", "--data-file=-"), "add", secret=SecretValue("T", tmp_path / "TOKEN")
    )
    with pytest.raises(CannotDeploy) as caught:
        RealCloud(tmp_path).run(command)
    assert (tmp_path / "input").read_text() == "s3cret"
    assert "s3cret" not in (tmp_path / "arguments").read_text() + str(caught.value) + repr(command)


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "cannot be read")])
def test_file_without_a_value_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "API_KEYS"
    file.write_bytes(content)
    with pytest.raises(CannotDeploy, match=said):
        read_secret(file)
