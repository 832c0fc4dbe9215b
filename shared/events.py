"""What the platform sends, parsed once at the door: finalize events, push deliveries, job messages."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from cloudevents.http import CloudEvent
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import to_json

from shared.errors import Fault, InvalidRequest

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


JobId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class UploadedObject(BaseModel):
    """The data of `google.cloud.storage.object.v1.finalized`, as far as it is used here.

    https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/storage/v1/data.proto
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)
    bucket: str
    name: str
    generation: Annotated[int, Field(ge=0, lt=2**63)]
    size: Annotated[int, Field(ge=0)] = 0
    content_type: str = Field("", alias="contentType")
    metadata: dict[str, str] = {}


#: Redrives are made by hand: none comes near that.
Submission = Annotated[int, Field(ge=1, le=1_000_000)]


class JobMessage(BaseModel):
    """What queues carry: which job, and which submission of it. State is in the record alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    job_id: JobId
    submission: Submission
    #: Of the span that sent it.
    traceparent: str | None = None

    def encode(self, **more: str | int) -> bytes:
        return json.dumps({**self.model_dump(exclude_none=True), **more}).encode()


class _Message(BaseModel):
    """A push's message; attributes and id go on into names, headers and logs."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    data: str = ""
    attributes: dict[str, str] | None = None
    message_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$"), Field(alias="messageId")]


class _Delivery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    message: _Message


@dataclass(frozen=True, slots=True)
class Push:
    """One push delivery. The body's own `deliveryAttempt` is there only under a dead-letter policy."""

    data: bytes
    attributes: Mapping[str, str]
    message_id: str


def uploaded_object(event: CloudEvent) -> UploadedObject:
    data = event.data
    try:
        # By way of JSON: the framework has parsed the data, and lets pass what no text can hold.
        return UploadedObject.model_validate_json(data if isinstance(data, bytes | str) else to_json(data))
    except ValueError as cause:  # pydantic's are
        raise InvalidRequest("the event is no storage object's") from cause


def push(body: bytes) -> Push:
    """A Pub/Sub push request's JSON body (https://cloud.google.com/pubsub/docs/push#receive_push)."""
    try:
        message = _Delivery.model_validate_json(body).message
        data = base64.b64decode(message.data, validate=True)
    except ValueError as cause:  # pydantic's and base64's are
        raise InvalidRequest("the body is no Pub/Sub push", (Fault("message", "missing or malformed"),)) from cause
    return Push(data, message.attributes or {}, message.message_id)


def traceparent(text: str | None) -> str | None:
    """The header, if it is as W3C has it: what a stranger sends goes on into attributes, metadata and logs.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    return text if text and _TRACEPARENT.fullmatch(text) else None


def job_message(data: bytes) -> JobMessage:
    try:
        return JobMessage.model_validate_json(data)
    except ValidationError as cause:
        raise InvalidRequest("the message names no job") from cause
