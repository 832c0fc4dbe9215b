"""Trigger: push subscription on `dead-letters`.
Does: keeps the letter, marks the job, raises an alert unless the job is not lost.
Acks when: all three are done.
Raises when: a service is down; the letter comes again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from typing import Annotated

import flask
import functions_framework
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared import log
from shared.alerts import Alert
from shared.dead_letters import MAX_UNREADABLE_BYTES, mark
from shared.errors import InvalidRequest, JobError, TooLarge
from shared.events import JobId, Push, push
from shared.job import Failure, Job, State
from shared.problems import problem
from shared.request_body import read_beginning, read_body
from shared.services import Services, services

_log = logging.getLogger(__name__)


class Letter(BaseModel):
    """Our own letter, or a message that Pub/Sub's backstop gave up: that one carries only the job's id."""

    model_config = ConfigDict(frozen=True, extra="allow")
    job_id: JobId | None = None
    submission: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")] = "undeliverable"
    reason: Annotated[str, StringConstraints(max_length=10_000)] = ""


@functions_framework.http
def dead_letter(request: flask.Request) -> flask.typing.ResponseReturnValue:
    everything = services()
    try:
        everything.callers.verify(request.headers.get("Authorization"))
        delivery = _delivery(request)
        with log.bind(job_id=delivery.attributes.get("jobId")):
            receive(delivery, everything)
    except (InvalidRequest, TooLarge) as error:
        _log.error("no letter: %s", error.message, extra={"event": "letter.malformed"})
        return "", 204
    except JobError as error:
        return problem(error)
    return "", 204


def receive(delivery: Push, everything: Services) -> None:
    """Keep, mark, alert; each safe to repeat, since a letter may come twice. Raises RetryableError."""
    letter = _letter(delivery)
    name = _name(letter, delivery)
    now = everything.now()
    kept = {**letter.model_dump(), "kept_at": now.isoformat(), "attributes": dict(delivery.attributes)}
    everything.store.keep_letter(now.date().isoformat(), name, json.dumps(kept).encode())
    if letter.job_id:
        job = mark(letter.job_id, letter.submission, Failure(code=letter.code, message=letter.reason), everything)
        if job is not None and not _is_lost(job, letter):
            _log.warning("the letter's job is not lost", extra={"event": "letter.outdated", "state": job.state})
            return
    _log.error("dead letter kept: %s", letter.code, extra={"event": "letter.kept", "code": letter.code})
    alert = Alert(
        id=f"dead-letter/{name}",
        source="hub",
        title="A job is dead-lettered" if letter.job_id else "A message could not be read",
        state="open",
        severity="critical",
        summary=f"{letter.code}: {letter.reason}",
        labels={"job_id": letter.job_id or "", "code": letter.code},
        started_at=now,
    )
    everything.topics.publish("alerts", alert.model_dump_json().encode(), {})


def _delivery(request: flask.Request) -> Push:
    """What was pushed; a body that is no push, or is too large for one of ours, makes a letter of its own.

    Raises InvalidRequest where there is nothing to keep.
    """
    body = b""
    try:
        body = read_body(request)
        return push(body)
    except (InvalidRequest, TooLarge) as error:
        beginning = body[:MAX_UNREADABLE_BYTES] or read_beginning(request, MAX_UNREADABLE_BYTES)
        if not beginning:
            raise InvalidRequest("the body is empty") from error
        _log.error("no letter: %s", error.message, extra={"event": "letter.malformed"})
        data = base64.b64encode(beginning).decode()
        letter = Letter.model_validate({"code": "unreadable", "reason": error.message, "data": data})
        return Push(letter.model_dump_json().encode(), {}, hashlib.sha256(beginning).hexdigest()[:32])


def _name(letter: Letter, delivery: Push) -> str:
    """Of the first submission the job's id; a redrive may end the same way on the same day."""
    if not letter.job_id:
        return f"message-{delivery.message_id}"
    return letter.job_id if letter.submission == 1 else f"{letter.job_id}-{letter.submission}"


def _is_lost(job: Job, letter: Letter) -> bool:
    """Pub/Sub's backstop does not know that a job ended otherwise, was redriven, or is at work."""
    return job.state is State.DEAD_LETTERED and job.submission == letter.submission


def _letter(delivery: Push) -> Letter:
    try:
        letter = Letter.model_validate_json(delivery.data)
    except ValidationError:
        data = base64.b64encode(delivery.data).decode()
        return Letter.model_validate({"code": "unreadable", "reason": "the letter could not be read", "data": data})
    if letter.reason:
        return letter
    deliveries = delivery.attributes.get("CloudPubSubDeadLetterSourceDeliveryCount", "all")
    return letter.model_copy(update={"reason": f"Pub/Sub gave the message up after {deliveries} deliveries"})
