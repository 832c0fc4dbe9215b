"""Trigger: HTTPS from the `webhooks` queue, one task for each try.
Does: signs and posts one webhook, notes the answer in the record, plans the next try itself.
Acks when: the try was made, whatever its answer: one bad receiver slows nobody else down.
Raises when: never; with a service of ours down (503), a right missing (500), or a record that cannot be read or written
now (409), the queue brings the try again.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Annotated, Any

import flask
import functions_framework
from pydantic import Field, ValidationError

from shared import log, webhooks
from shared.api import JobView, view
from shared.conclude import enqueue_webhook
from shared.errors import (
    InvalidRequest,
    JobError,
    RateLimited,
    RecordUnreadable,
    RetryableError,
    SourceRefused,
    TooLarge,
    Unavailable,
)
from shared.events import JobMessage
from shared.job import Job, WebhookTry
from shared.problems import problem
from shared.request_body import read_body
from shared.resources import declared
from shared.services import Services, services

_log = logging.getLogger(__name__)

#: Seconds a receiver has for its answer.
_TIMEOUT_SECONDS = 15.0


class Try(JobMessage):
    """The task's body."""

    number: Annotated[int, Field(ge=1, le=100)]


@functions_framework.http
def deliver(request: flask.Request) -> flask.typing.ResponseReturnValue:
    everything = services()
    try:
        everything.callers.verify(request.headers.get("Authorization"))
        planned = Try.model_validate_json(read_body(request))
        with log.bind(job_id=planned.job_id, submission=str(planned.submission)):
            trace = planned.traceparent
            with everything.tracer.span("webhook.deliver", trace, job_id=planned.job_id, number=planned.number):
                make(planned, everything)
    except (ValidationError, InvalidRequest, TooLarge):
        _log.error("task is no try", extra={"event": "webhook.malformed"})
    except JobError as error:
        return _again(error, request)
    return "", 204


def _again(error: JobError, request: flask.Request) -> flask.typing.ResponseReturnValue:
    """What makes the queue bring the try again, until it has brought it as often as it does.

    https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler
    """
    brought_before = request.headers.get("X-CloudTasks-TaskRetryCount", 0, type=int)
    is_last = brought_before + 1 >= declared().queues["webhooks"].max_attempts
    if isinstance(error, RetryableError):
        event = "webhook.given_up" if is_last else "webhook.postponed"
        _log.error("no try: %s", error.message, extra={"event": event, "code": error.reason_code})
    if isinstance(error, RecordUnreadable | RateLimited):
        # 503 and 429 slow the whole queue down, for one job's sake.
        return "", 409
    return problem(error)


def make(planned: Try, everything: Services) -> None:
    """Make one try unless it was made before, note its answer, plan the next. Raises Unavailable."""
    seen = everything.store.get(planned.job_id)
    if seen is None or seen.job.submission != planned.submission or seen.job.webhook_url is None:
        return
    job = seen.job
    made = next((known for known in job.webhook_tries if known.number == planned.number), None)
    retry_after: float | None = None
    if made is None:
        made, retry_after = _post(job, planned.number, everything)
        noted = made
        everything.store.update(
            job.job_id, lambda now: now.job.with_webhook_try(noted) if now.job.submission == job.submission else None
        )
    if made.status is not None and webhooks.is_delivered(made.status):
        fields = {"event": "webhook.delivered", "number": made.number, "status": made.status}
        _log.info("webhook delivered", extra=fields)
        return
    _log.warning(
        "webhook not delivered",
        extra={"event": "webhook.failed", "number": made.number, "status": made.status, "error": made.error},
    )
    if (made.status is not None and webhooks.is_unwanted(made.status)) or made.error == SourceRefused.code:
        return
    delay = webhooks.delay_after(made.number, retry_after)
    if delay is None:
        _log.error("webhook given up", extra={"event": "webhook.given_up", "tries": made.number})
        return
    enqueue_webhook(job, made.number + 1, made.at + timedelta(seconds=delay), everything, planned.traceparent)


def _post(job: Job, number: int, everything: Services) -> tuple[WebhookTry, float | None]:
    """The try as it went, and the seconds the receiver wants to be left alone for."""
    settings = everything.settings
    at = everything.now()
    body = _body(view(job, settings.ingest_url, everything.tariff), job)
    headers = {"content-type": "application/json"}
    if settings.webhook_secret is not None:
        secret = settings.webhook_secret.get_secret_value()
        headers |= webhooks.headers(secret, f"{job.job_id}-{job.submission}", int(at.timestamp()), body)
    if job.webhook_url is None:
        raise ValueError("only a job with a webhook_url gets here")
    try:
        answer = everything.http.post(job.webhook_url, body, headers, timeout_seconds=_TIMEOUT_SECONDS)
    except (Unavailable, SourceRefused) as error:
        return WebhookTry(number=number, at=at, error=error.reason_code), None
    return WebhookTry(number=number, at=at, status=answer.status), answer.retry_after


def _body(shown: JobView, job: Job) -> bytes:
    """The old hub's envelope (`id`, `job_id`, `code`, `message`, `response`), and the record as the API shows it."""
    has_succeeded = job.state == "succeeded"
    envelope: dict[str, Any] = {
        "type": f"job.{job.state}",
        "timestamp": job.finished_at.isoformat() if job.finished_at else None,
        "id": job.id,
        "job_id": job.job_id,
        "code": 200 if has_succeeded else 500,
        "message": "success" if has_succeeded else (job.failure.message if job.failure else str(job.state)),
        "response": shown.result,
        "data": shown.model_dump(mode="json"),
    }
    return json.dumps(envelope).encode()
