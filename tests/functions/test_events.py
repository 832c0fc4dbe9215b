"""The payloads in tests/events against Google's own schemas, where those are at hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.events import job_message, push
from tests.fakes.services import fake_services
from tests.functions.serving import EVENTS, ROOT, event, submitted

SCHEMAS = ROOT.parent / "shared" / "schemas" / "cloudevents"
STORAGE = sorted(path.name for path in EVENTS.glob("storage_finalized*.json"))
PUSHES = sorted(path.name for path in EVENTS.glob("*_push*.json"))

needs_schemas = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="Google's schemas are not at hand (../shared/schemas)")


def is_integer(checker: Any, instance: object) -> bool:
    """The schemas say integer; proto3's JSON, and so every real event, writes 64-bit ones as strings."""
    is_text = isinstance(instance, str) and re.fullmatch(r"-?\d+", instance) is not None
    return is_text or (isinstance(instance, int) and not isinstance(instance, bool))


def validator(schema: Path) -> Any:
    types = jsonschema.Draft4Validator.TYPE_CHECKER.redefine("integer", is_integer)
    strict = jsonschema.validators.extend(jsonschema.Draft4Validator, type_checker=types)
    return strict(json.loads(schema.read_text()), format_checker=jsonschema.FormatChecker())


@needs_schemas
@pytest.mark.parametrize("name", STORAGE)
def test_storage_event_is_as_google_describes_it(name: str) -> None:
    data = event(name)["data"]
    schema = SCHEMAS / "StorageObjectData.json"
    validator(schema).validate(data)
    known = json.loads(schema.read_text())["definitions"]["StorageObjectData"]["properties"]
    assert set(data) <= set(known)


@needs_schemas
@pytest.mark.parametrize("name", PUSHES)
def test_push_is_as_google_describes_it(name: str) -> None:
    """A push body is the data of a messagePublished event, with each name in both spellings."""
    validator(SCHEMAS / "MessagePublishedData.json").validate(event(name))


@needs_schemas
@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("StorageObjectData.json", {"size": "many"}),
        ("StorageObjectData.json", {"metadata": []}),
        ("MessagePublishedData.json", {"message": {"attributes": {"submission": 1}}}),
    ],
)
def test_validation_can_fail(schema: str, data: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator(SCHEMAS / schema).validate(data)


@pytest.mark.parametrize("name", STORAGE)
def test_envelope_is_a_finalize_event_of_the_bucket_in_its_data(name: str) -> None:
    made = event(name)
    assert made["type"] == "google.cloud.storage.object.v1.finalized"
    assert made["source"] == f"//storage.googleapis.com/projects/_/buckets/{made['data']['bucket']}"
    assert made["subject"] == f"objects/{made['data']['name']}"


def test_messages_speak_of_the_job_that_the_tests_make() -> None:
    everything = fake_services()
    job = submitted(everything)
    for name in ("pubsub_push_bell.json", "dead_letter_backstop_push.json", "dead_letter_push.json"):
        delivery = push(json.dumps(event(name)).encode())
        assert job_message(delivery.data).job_id == job.job_id
        assert delivery.attributes["jobId"] == job.job_id
    (sent,) = everything.topics.on("gpu-tasks")
    bell = push(json.dumps(event("pubsub_push_bell.json")).encode())
    assert job_message(sent.data) == job_message(bell.data)
    assert set(sent.attributes) == set(bell.attributes)
    for name in ("cpu_task.json", "webhook_task.json"):
        assert event(name)["job_id"] == job.job_id
