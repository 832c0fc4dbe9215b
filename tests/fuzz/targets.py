"""What is fuzzed: each target takes any bytes, and raises only where something is wrong with us."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from cloudevents.http import CloudEvent
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from functions.dead_letter import Letter
from functions.deliver import Try
from functions.on_upload import _decoded
from shared import slack
from shared.alerts import parse_alerts
from shared.api import JobBody, UploadBody, UploadMetadata
from shared.classify import HEAD_BYTES, classify, presume
from shared.errors import Fault, InvalidRequest
from shared.events import job_message, push, traceparent, uploaded_object
from shared.faults import faults_of
from shared.formats import FORMATS
from shared.job import Job
from shared.media import boxes
from shared.sniff import sniff

#: Slack's limits, which it counts after escaping.
_SLACK: Final = {"header": 150, "section": 3000, "fields": 2000, "elements": 2000}
_BODIES: Final[tuple[type[BaseModel], ...]] = (JobBody, UploadBody, UploadMetadata, Letter, Try, Job)
_ENVELOPE: Final = {"type": "google.cloud.storage.object.v1.finalized", "source": "//storage.googleapis.com/b"}


def classifier(data: bytes) -> None:
    """A name, a declared type and a file's bytes, each but the last ending with its line."""
    name, _, rest = data.partition(b"\n")
    declared, _, content = rest.partition(b"\n")
    texts = name.decode("utf-8", "replace"), declared.decode("latin-1")
    head = content[:HEAD_BYTES]
    assert set(sniff(head)) <= set(FORMATS)
    for facts in (classify(*texts, head, len(content)), presume(*texts, len(content) or None)):
        assert facts.file_type in FORMATS or facts.kind == "unknown"
        assert facts.found
        assert all(len(warning) < len(data) + 200 for warning in facts.warnings)
    said = boxes.flaw(io.BufferedReader(io.BytesIO(content)), len(content))
    assert said is None or 0 < len(said) < 200


def parsers(data: bytes) -> None:
    """JSON, as it comes in at every door."""
    for parse in (_alerts, _push, _upload, _metadata, job_message):
        try:
            parse(data)
        except InvalidRequest:
            continue
    for model in _BODIES:
        try:
            model.model_validate_json(data).model_dump_json()
        except ValidationError as refused:
            _fits(faults_of(refused))
    traceparent(data.decode("latin-1"))


def _fits(faults: tuple[Fault, ...]) -> None:
    assert len(faults) <= 50
    assert all(len(fault.field) <= 300 and len(fault.detail) <= 300 for fault in faults)


def _alerts(data: bytes) -> None:
    for alert in parse_alerts(data):
        assert len(alert.id) <= 1000
        alert.model_dump_json().encode()
        message = slack.message(alert)
        json.dumps(message).encode()
        for block in message["blocks"]:
            assert len(block.get("text", {}).get("text", "")) <= _SLACK.get(block["type"], 3000)
            for part in ("fields", "elements"):
                for each in block.get(part, ()):
                    assert block["type"] == "actions" or len(each["text"]) <= _SLACK[part]


def _push(data: bytes) -> None:
    delivery = push(data)
    assert all(isinstance(value, str) for value in delivery.attributes.values())
    delivery.message_id.encode("ascii")


def _upload(data: bytes) -> None:
    uploaded_object(CloudEvent(_ENVELOPE, data)).name.encode()


def _metadata(data: bytes) -> None:
    """An upload's own metadata: JSON inside of texts."""
    text = data.decode("latin-1")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    of_texts = (
        {name: each if isinstance(each, str) else json.dumps(each) for name, each in value.items()}
        if isinstance(value, dict)
        else {"operations": text, "labels": text}
    )
    upload = uploaded_object(CloudEvent(_ENVELOPE, {"bucket": "b", "name": "n", "generation": 1, "metadata": of_texts}))
    with suppress(ValueError):  # as `_with_metadata` does
        UploadMetadata.model_validate_json(to_json(_decoded(upload.metadata)))


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"classifier": classifier, "parsers": parsers}
