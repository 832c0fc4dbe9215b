"""The Eventarc shim: notifications in, CloudEvents out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from cloudevents.http import CloudEvent, from_http

from local.eventarc import EVENT_TYPE, EventarcShim, Trigger
from local.ports import Ports
from tests.fakes.http_target import Received, Target, http_target
from tests.waiting import eventually

SCHEMA = Path(__file__).parents[3] / "shared" / "schemas" / "cloudevents" / "StorageObjectData.json"
#: What fake-gcs-server 1.54 sends.
RESOURCE = {
    "kind": "storage#object",
    "name": "in/é 1.mp4",
    "id": "uploads/in/é 1.mp4",
    "bucket": "uploads",
    "generation": "1795459103131532",
    "contentType": "video/mp4",
    "timeCreated": "2026-11-23T18:38:23.131532Z",
    "updated": "2026-11-23T18:38:23.131532Z",
    "storageClass": "STANDARD",
    "size": "1024",
    "md5Hash": "kF8MuJ5+CTJxvyhHS1xzRg==",
    "crc32c": "rTVTeQ==",
    "metadata": {"operations": "probe"},
}


@pytest.fixture
def function() -> Iterator[Target]:
    with http_target() as target:
        yield target


@pytest.fixture
def shim(function: Target) -> Iterator[EventarcShim]:
    with EventarcShim([Trigger("uploads", function.url)]) as shim:
        yield shim


def push(shim: EventarcShim, *, message_id: str = "m-1", resource: Any = RESOURCE, **attributes: str) -> int:
    """As the emulator posts; answers the status."""
    message = {
        "data": base64.b64encode(json.dumps(resource).encode()).decode(),
        "messageId": message_id,
        "message_id": message_id,
        "publishTime": "2026-11-23T18:38:23.200Z",
        "attributes": {
            "eventType": "OBJECT_FINALIZE",
            "bucketId": "uploads",
            "objectId": resource["name"],
            "objectGeneration": resource["generation"],
            "payloadFormat": "JSON_API_V1",
            "eventTime": "2026-11-23T18:38:23.131532Z",
            **attributes,
        },
    }
    body = {"subscription": "projects/p/subscriptions/s", "message": message}
    return httpx.post(shim.url, json=body, trust_env=False, timeout=60).status_code


def event(received: Received) -> CloudEvent:
    return from_http(dict(received.headers), received.body)


def test_finished_upload_becomes_a_binary_cloud_event(shim: EventarcShim, function: Target) -> None:
    assert push(shim) == 204
    (received,) = function.received
    assert received.headers["Content-Type"] == "application/json"
    got = event(received)
    assert dict(got.get_attributes()) == {
        "specversion": "1.0",
        "id": "m-1",
        "source": "//storage.googleapis.com/projects/_/buckets/uploads",
        "type": EVENT_TYPE,
        "subject": "objects/in/%C3%A9%201.mp4",
        "time": "2026-11-23T18:38:23.131532Z",
        "bucket": "uploads",
        "datacontenttype": "application/json",
    }
    assert got.data["name"] == "in/é 1.mp4"
    assert got.data["metadata"] == {"operations": "probe"}


def test_fields_that_the_emulator_leaves_out_are_filled_in(shim: EventarcShim, function: Target) -> None:
    push(shim)
    data = event(function.received[0]).data
    assert data["id"] == RESOURCE["id"]
    assert data["metageneration"] == "1"
    assert data["selfLink"] == "https://www.googleapis.com/storage/v1/b/uploads/o/in%2F%C3%A9%201.mp4"
    assert data["mediaLink"].startswith(
        "https://www.googleapis.com/download/storage/v1/b/uploads/o/in%2F%C3%A9%201.mp4"
    )
    assert data["mediaLink"].endswith("?generation=1795459103131532&alt=media")
    assert data["timeStorageClassUpdated"] == RESOURCE["timeCreated"]
    assert data["etag"]


def test_data_satisfies_googles_schema(shim: EventarcShim, function: Target) -> None:
    if not SCHEMA.exists():
        pytest.skip("needs ../shared/schemas, which is not part of the repository")
    push(shim)
    data = event(function.received[0]).data
    # 64-bit numbers are strings on the wire, as in Google's own example; its schema says integer.
    for name in ("generation", "metageneration", "size"):
        assert isinstance(data[name], str)
        data[name] = int(data[name])
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft4Validator(schema).validate(data)
    assert data.keys() <= schema["definitions"]["StorageObjectData"]["properties"].keys()
    example = json.loads((SCHEMA.parent / "example-StorageObjectData-simple.json").read_text())
    assert example.keys() <= data.keys()


@pytest.mark.parametrize(
    "attributes",
    [{"eventType": "OBJECT_DELETE"}, {"eventType": "OBJECT_METADATA_UPDATE"}, {"bucketId": "results"}],
)
def test_only_finished_uploads_of_the_triggers_bucket_pass(
    shim: EventarcShim, function: Target, attributes: dict[str, str]
) -> None:
    assert push(shim, **attributes) == 204
    assert function.received == []


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_event_that_is_not_taken_is_delivered_again_under_the_same_id(
    shim: EventarcShim, function: Target, status: int
) -> None:
    function.answers(status, 204)
    assert push(shim, message_id="m-7") == 500
    assert push(shim, message_id="m-7") == 204
    assert [event(received)["id"] for received in function.received] == ["m-7", "m-7"]


def test_function_that_is_down_or_hangs_is_a_failed_delivery(function: Target) -> None:
    with Ports() as ports:
        nobody = f"http://127.0.0.1:{ports.take()}/"
        with EventarcShim([Trigger("uploads", nobody)]) as shim:
            assert push(shim) == 500
    function.gate.clear()
    with EventarcShim([Trigger("uploads", function.url)], timeout_s=0.1) as shim:
        assert push(shim) == 500


def test_every_trigger_of_a_bucket_is_served_and_one_failure_fails_the_delivery(function: Target) -> None:
    with http_target() as other, EventarcShim([Trigger("uploads", url) for url in (function.url, other.url)]) as shim:
        function.answers(500)
        assert push(shim) == 500
        assert (len(function.received), len(other.received)) == (1, 1)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"message": {}}', b'{"message": {"attributes": null}}'])
def test_what_is_no_notification_is_refused(shim: EventarcShim, function: Target, body: bytes) -> None:
    assert httpx.post(shim.url, content=body, trust_env=False, timeout=60).status_code == 400
    assert function.received == []


def test_burst_is_passed_on_side_by_side(shim: EventarcShim, function: Target) -> None:
    function.gate.clear()
    with ThreadPoolExecutor(40) as pool:
        pushes = [pool.submit(push, shim, message_id=f"m-{number}") for number in range(40)]
        try:
            eventually(lambda: function.open_most == 40)
        finally:
            function.gate.set()
        assert [each.result() for each in pushes] == [204] * 40
    assert {event(received)["id"] for received in function.received} == {f"m-{number}" for number in range(40)}
