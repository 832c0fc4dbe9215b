"""Settings: each is used, each that must be given is given, and what is given is one."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from local.profile import Endpoints, Profile, environment
from shared.resources import declared
from shared.settings import Settings, parse
from tests.wiring.tree import ROOT, nodes, python_files

REQUIRED = {name for name, field in Settings.model_fields.items() if field.is_required()}
#: Variables that are not the settings' but the platform's or the log's.
OTHERS = {"K_SERVICE", "CLOUD_RUN_TASK_ATTEMPT"}


def local_environment() -> dict[str, str]:
    ports = {name: 9000 + number for number, name in enumerate(declared().functions)}
    endpoints = Endpoints(pubsub=1, storage=2, tasks=3, jobs=4, metrics=5, eventarc=6, functions=ports)
    return environment(Profile(model=Path("model")), endpoints)


@cache
def used() -> frozenset[str]:
    """What is read as `settings.NAME`, from whatever holds settings, or by a property of theirs."""
    found: set[str] = set()
    for file in python_files("functions", "shared", "workers"):
        holders = {"self"} if file == Path("shared/settings.py") else {"settings", "_settings"}
        for node in nodes(file):
            if isinstance(node, ast.Attribute):
                holder: Any = node.value
                if getattr(holder, "id", getattr(holder, "attr", None)) in holders:
                    found.add(node.attr)
    return frozenset(found)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_setting_is_used(name: str) -> None:
    assert name in used(), f"{name.upper()} is declared, and nothing reads it"


def test_a_name_that_is_no_setting_is_not_used() -> None:
    assert "no_such_setting" not in used()


def test_every_setting_that_is_read_is_declared() -> None:
    """`settings.NAME` with a typing error is found by mypy; one behind `Any` is found here."""
    known = {*Settings.model_fields, *dir(Settings), "parse", "from_environment"}
    for file in python_files("functions", "workers", "shared"):
        for node in nodes(file):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
                holder = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
                assert holder != "settings" or node.attr in known, f"{file}: settings.{node.attr}"


def test_local_cloud_gives_every_required_setting_and_nothing_unknown() -> None:
    given = local_environment()
    assert {name.upper() for name in REQUIRED} <= set(given)
    assert set(given) - {name.upper() for name in Settings.model_fields} <= OTHERS


def test_what_the_local_cloud_gives_parses() -> None:
    settings = parse(local_environment())
    assert settings.local_cloud
    assert settings.api_keys[0].sees == "all"


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        parse({})
    missing = {str(error["loc"][0]) for error in caught.value.errors() if error["type"] == "missing"}
    assert missing == {name.upper() for name in REQUIRED}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PROJECT": "media-hub"}, "LOCAL_CLOUD"),
        ({"RUN_EMULATOR_HOST": ""}, "LOCAL_CLOUD"),
        ({"LOCAL_CLOUD": "false"}, "an emulator is set but LOCAL_CLOUD is not"),
        ({"LOCAL_CLOUD": "false"}, "INVOKER_ACCOUNTS is missing"),
        ({"LEASE_SECONDS": "10"}, "LEASE_SECONDS < ACK_DEADLINE_SECONDS"),
        ({"BEAT_SECONDS": "5"}, "BEAT_SECONDS * 2"),
        ({"API_KEYS": json.dumps([{"name": "a\u0000b", "key": "k"}])}, "pattern"),
        ({"WEBHOOK_SECRET": "s3cret!"}, "WEBHOOK_SECRET must be"),
        ({"MAX_GPU_EXECUTIONS": "0"}, "greater than or equal to 1"),
    ],
)
def test_settings_that_contradict_each_other_stop_the_process_at_start(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("*", r"\*")):
        parse({**local_environment(), **changes})


def test_faults_never_show_a_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        parse({**local_environment(), "MAX_ATTEMPTS": "none", "WEBHOOK_SECRET": "whsec_s3crets3"})
    assert "s3cret" not in str(caught.value)
    settings = parse({**local_environment(), "WEBHOOK_SECRET": "whsec_s3crets3"})
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_every_setting_is_explained_where_it_is_declared() -> None:
    """A group of settings has its heading, and none stands outside of a group."""
    text = (ROOT / "shared" / "settings.py").read_text()
    body = text.partition("class Settings(BaseModel):")[2].partition("@model_validator")[0]
    for block in body.split("\n\n")[1:]:
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if any(":" in line and not line.startswith("#") for line in lines) and "model_config" not in block:
            assert lines[0].startswith("# "), f"settings without a heading: {lines[0]}"
