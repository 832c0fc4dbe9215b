"""What the platform sends, parsed once at the door: finalize events, push deliveries, job messages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudevents.http import CloudEvent
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import Fault, InvalidRequest


class UploadedObject(BaseModel):
    """The data of `google.cloud.storage.object.v1.finalized`, as far as it is used here.

    https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/storage/v1/data.proto
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)
    bucket: str
    name: str
    generation: int
    size: int = 0
    content_type: str = Field("", alias="contentType")
    metadata: dict[str, str] = {}


class JobMessage(BaseModel):
    """What queues carry: which job, and which submission of it. State is in the record alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    job_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    submission: int = Field(ge=1)

    def encode(self, **more: str) -> bytes:
        return json.dumps({**self.model_dump(), **more}).encode()


@dataclass(frozen=True, slots=True)
class Push:
    """One push delivery. The body's own `deliveryAttempt` is there only under a dead-letter policy."""

    data: bytes
    attributes: Mapping[str, str]
    message_id: str


def uploaded_object(event: CloudEvent) -> UploadedObject:
    data = event.data
    try:
        return UploadedObject.model_validate(json.loads(data) if isinstance(data, bytes | str) else data)
    except (ValidationError, ValueError) as cause:
        raise InvalidRequest("the event is no storage object's") from cause


def push(body: Any) -> Push:
    """A Pub/Sub push request's JSON body (https://cloud.google.com/pubsub/docs/push#receive_push)."""
    try:
        message = body["message"]
        return Push(
            data=base64.b64decode(message.get("data", ""), validate=True),
            attributes=dict(message.get("attributes") or {}),
            message_id=str(message["messageId"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as cause:
        raise InvalidRequest("the body is no Pub/Sub push", (Fault("message", "missing or malformed"),)) from cause


def job_message(data: bytes) -> JobMessage:
    try:
        return JobMessage.model_validate_json(data)
    except ValidationError as cause:
        raise InvalidRequest("the message names no job") from cause
