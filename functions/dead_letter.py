"""Trigger: push subscription on `dead-letters`.
Does: marks the job, keeps the letter, raises an alert unless the job is not lost or a storm of letters is on.
Acks when: all three are done.
Raises when: a service is down; the letter comes again.
"""

from __future__ import annotations

import base64
import hashlib
import logging

import flask
import functions_framework
from pydantic import ValidationError

from shared import log
from shared.dead_letters import MAX_UNREADABLE_BYTES, mark
from shared.errors import InvalidRequest, JobError, RecordUnreadable, TooLarge
from shared.events import Push, push, traceparent
from shared.job import Failure, Job, State
from shared.letters import OUTDATED, KeptLetter, Letter
from shared.problems import problem
from shared.request_body import read_beginning, read_body
from shared.services import Services, services
from shared.storm import tell

_log = logging.getLogger(__name__)


@functions_framework.http
def dead_letter(request: flask.Request) -> flask.typing.ResponseReturnValue:
    everything = services()
    try:
        everything.callers.verify(request.headers.get("Authorization"))
        delivery = _delivery(request)
        job_id, trace = delivery.attributes.get("jobId"), traceparent(delivery.attributes.get("traceparent"))
        with log.bind(job_id=job_id, traceparent=trace), everything.tracer.span("letter.keep", trace, job_id=job_id):
            receive(delivery, everything)
    except (InvalidRequest, TooLarge) as error:
        _log.error("no letter: %s", error.message, extra={"event": "letter.malformed"})
        return "", 204
    except JobError as error:
        return problem(error)
    return "", 204


def receive(delivery: Push, everything: Services) -> None:
    """Mark, keep, alert; each safe to repeat, since a letter may come twice. Raises RetryableError.

    A letter is kept once its job is marked: a summary that came between would take it for settled.
    """
    letter = _letter(delivery)
    name = _name(letter, delivery)
    try:
        job = _mark(letter, everything)
    except RecordUnreadable:
        # The letter comes again until a revision can mark the job; who is to see to that must hear of it now.
        tell(*_keep(name, letter, delivery, everything), everything)
        raise
    if job is not None and not _is_lost(job, letter):
        # Under a name of its own: the job may yet be lost today, and that letter says why.
        _keep(f"{name}{OUTDATED}", letter, delivery, everything)
        _log.warning("the letter's job is not lost", extra={"event": "letter.outdated", "state": job.state})
        return
    kept = _keep(name, letter, delivery, everything)
    _log.error("dead letter kept: %s", letter.code, extra={"event": "letter.kept", "code": letter.code})
    tell(*kept, everything)


def _mark(letter: Letter, everything: Services) -> Job | None:
    """Its job, as it then stands; None where the letter names none, or one that nobody knows."""
    if not letter.job_id:
        return None
    return mark(letter.job_id, letter.submission, Failure(code=letter.code, message=letter.reason), everything)


def _keep(name: str, letter: Letter, delivery: Push, everything: Services) -> tuple[str, KeptLetter]:
    now = everything.now()
    # Of what the message calls so itself, nothing counts.
    ours = {"kept_at": now, "attributes": dict(delivery.attributes), "discarded": None}
    kept = KeptLetter.model_validate({**letter.model_dump(), **ours})
    letter_id = f"{now.date().isoformat()}/{name}"
    everything.letters.keep(letter_id, kept)
    return letter_id, kept


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
