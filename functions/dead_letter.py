"""Trigger: push subscription on `dead-letters`.
Does: keeps the letter, marks the job, raises an alert.
Acks when: all three are done.
Raises when: a service is down; the letter comes again.
"""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import flask
import functions_framework

from shared import log
from shared.alerts import Alert
from shared.dead_letters import mark
from shared.errors import InvalidRequest, JobError
from shared.events import Push, job_message, push
from shared.job import Failure
from shared.problems import problem
from shared.services import Services, services

_log = logging.getLogger(__name__)


@functions_framework.http
def dead_letter(request: flask.Request) -> flask.typing.ResponseReturnValue:
    everything = services()
    try:
        everything.callers.verify(request.headers.get("Authorization"))
        letter = push(request.get_json(silent=True))
        with log.bind(job_id=letter.attributes.get("jobId")):
            receive(letter, everything)
    except InvalidRequest as error:
        _log.error("no letter: %s", error.message, extra={"event": "letter.malformed"})
        return "", 204
    except JobError as error:
        return problem(error)
    return "", 204


def receive(letter: Push, everything: Services) -> None:
    """Keep, mark, alert; each safe to repeat, since a letter may come twice. Raises RetryableError."""
    content = _content(letter)
    job_id, submission = content.get("job_id"), content.get("submission")
    name = f"{job_id}-{submission}" if job_id else f"message-{letter.message_id}"
    date = everything.now().date().isoformat()
    kept = {"kept_at": everything.now().isoformat(), "attributes": dict(letter.attributes), **content}
    everything.store.keep_letter(date, name, json.dumps(kept).encode())
    code, reason = str(content.get("code", "undeliverable")), str(content.get("reason", "the queue gave it up"))
    if job_id and submission:
        mark(job_id, int(submission), Failure(code=code, message=reason), everything)
    alert = Alert(
        id=f"dead-letter/{name}",
        source="hub",
        title="A job is dead-lettered" if job_id else "A message could not be read",
        state="open",
        severity="critical",
        summary=f"{code}: {reason}",
        labels={"job_id": str(job_id or ""), "code": code},
        started_at=everything.now(),
    )
    everything.topics.publish("alerts", alert.model_dump_json().encode(), {})
    _log.error("dead letter kept: %s", code, extra={"event": "letter.kept", "code": code})


def _content(letter: Push) -> dict[str, Any]:
    """Our own letter, or a message that Pub/Sub's backstop gave up: that one carries only the job's id."""
    try:
        content = json.loads(letter.data)
        if isinstance(content, dict) and ("reason" in content or "job_id" not in content):
            return content
        message = job_message(letter.data)
    except (ValueError, InvalidRequest):
        return {"code": "unreadable", "data": base64.b64encode(letter.data).decode()}
    deliveries = letter.attributes.get("CloudPubSubDeadLetterSourceDeliveryCount", "all")
    return {
        **message.model_dump(),
        "code": "undeliverable",
        "reason": f"Pub/Sub gave the message up after {deliveries} deliveries",
    }
