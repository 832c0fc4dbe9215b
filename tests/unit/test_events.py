from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from shared.errors import InvalidRequest
from shared.events import JobMessage, Push, job_message, push, traceparent, uploaded_object

JOB_ID = "0123456789abcdef" * 2
DATA: dict[str, Any] = {"bucket": "uploads", "name": "a.mp4", "generation": "1700000000000001", "size": "9"}


def finalized(data: Any) -> CloudEvent:
    return CloudEvent({"type": "google.cloud.storage.object.v1.finalized", "source": "//storage"}, data)


def pushed(**message: Any) -> bytes:
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/gpu-sub"}).encode()


class TestUploadedObject:
    @pytest.mark.parametrize("encode", [lambda data: data, json.dumps, lambda data: json.dumps(data).encode()])
    def test_an_event_is_read_however_its_data_came(self, encode: Any) -> None:
        upload = uploaded_object(finalized(encode({**DATA, "contentType": "video/mp4", "metadata": {"id": "7"}})))
        assert (upload.bucket, upload.name, upload.generation, upload.size) == ("uploads", "a.mp4", 17 * 10**14 + 1, 9)
        assert (upload.content_type, upload.metadata) == ("video/mp4", {"id": "7"})

    def test_what_an_object_may_lack_is_empty(self) -> None:
        upload = uploaded_object(finalized({key: DATA[key] for key in ("bucket", "name", "generation")}))
        assert (upload.size, upload.content_type, upload.metadata) == (0, "", {})

    @pytest.mark.parametrize(
        "data",
        [
            None,
            [],
            "text",
            b"\xff",
            {},
            {**DATA, "generation": "latest"},
            {**DATA, "name": None},
            {key: DATA[key] for key in DATA if key != "generation"},
        ],
    )
    def test_an_event_of_no_object_is_refused(self, data: Any) -> None:
        with pytest.raises(InvalidRequest, match="no storage object"):
            uploaded_object(finalized(data))


class TestPush:
    def test_a_push_is_taken_apart(self) -> None:
        body = pushed(data=base64.b64encode(b"\x00data").decode(), attributes={"jobId": "1"}, messageId="17")
        assert push(body) == Push(data=b"\x00data", attributes={"jobId": "1"}, message_id="17")

    def test_a_message_may_have_attributes_alone(self) -> None:
        assert push(pushed(attributes={"a": "b"}, messageId="1")).data == b""

    def test_a_message_may_have_data_alone(self) -> None:
        assert push(pushed(data="", attributes=None, messageId="1")).attributes == {}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff",
            b"null",
            b"[]",
            b'"message"',
            b"{}",
            b'{"message": null}',
            b'{"message": []}',
            b'{"message": {"data": ""}}',
            pushed(data="not base64!", messageId="1"),
            pushed(data=17, messageId="1"),
            pushed(attributes=17, messageId="1"),
        ],
    )
    def test_what_is_no_push_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidRequest) as caught:
            push(body)
        assert [fault.field for fault in caught.value.faults] == ["message"]


class TestJobMessage:
    def test_a_message_is_read_as_it_was_written(self) -> None:
        message = JobMessage(job_id=JOB_ID, submission=3)
        assert job_message(message.encode()) == message
        assert job_message(message.encode(idempotency_key="more")) == message

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff\xfe",
            b"text",
            b"[]",
            b'{"job_id": "../../etc/passwd", "submission": 1}',
            f'{{"job_id": "{JOB_ID.upper()}", "submission": 1}}'.encode(),
            f'{{"job_id": "{JOB_ID}0", "submission": 1}}'.encode(),
            f'{{"job_id": "{JOB_ID}", "submission": 0}}'.encode(),
            f'{{"job_id": "{JOB_ID}"}}'.encode(),
        ],
    )
    def test_a_message_that_names_no_job_is_refused(self, data: bytes) -> None:
        with pytest.raises(InvalidRequest, match="names no job"):
            job_message(data)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n", False),
        ("00-4bf9-00f0-01", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_traceparent_is_passed_on(text: str | None, is_one: bool) -> None:
    assert traceparent(text) == (text if is_one else None)
