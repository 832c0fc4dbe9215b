"""Trigger: HTTPS from the `gpu-sub` push subscription (/bell), the `cpu-tasks` queue (/task), the scheduler (/sweep).
Does: starts executions of the Cloud Run Jobs; holds a CPU task's request until its job needs it no more; sweeps, and
sums up the dead letters of a storm.
Acks when: 204, the bell or task is done with. 429 rings the bell again, 409 brings the task again.
Raises when: never; a service that is down is 503.
"""

from __future__ import annotations

import logging
from typing import Final

import flask
import functions_framework

from shared import cpu_task, log
from shared.bell import ring
from shared.dead_letters import give_up_unreadable
from shared.errors import InvalidRequest, JobError, NotFound, RecordUnreadable, TooLarge
from shared.events import job_message, push, traceparent
from shared.executions import NotStarted
from shared.problems import problem
from shared.request_body import read_body
from shared.resources import declared
from shared.services import Services, services
from shared.storm import summarise
from shared.sweep import sweep

_log = logging.getLogger(__name__)

_TASK_SECONDS: Final = declared().queues["cpu-tasks"].dispatch_deadline


@functions_framework.http
def dispatch(request: flask.Request) -> flask.typing.ResponseReturnValue:
    everything = services()
    try:
        everything.callers.verify(request.headers.get("Authorization"))
        match request.path:
            case "/bell":
                return _bell(request, everything)
            case "/task":
                return _task(request, everything)
            case "/sweep":
                sweep(everything)
                summarise(everything)
                return "", 204
        raise NotFound("dispatch answers /bell, /task and /sweep")
    except JobError as error:
        _log.warning("not dispatched: %s", error.message, extra={"event": "dispatch.failed", "code": error.reason_code})
        return problem(error)


def _bell(request: flask.Request, everything: Services) -> flask.typing.ResponseReturnValue:
    try:
        delivery = push(read_body(request))
        message = job_message(delivery.data)
    except (InvalidRequest, TooLarge):
        # A bell that names no job can ring for nobody; the message itself is the worker's to judge, who pulls it, too,
        # and makes it a letter.
        _log.error("bell without a job", extra={"event": "bell.malformed"})
        return "", 204
    labels = {"job_id": message.job_id, "submission": str(message.submission)}
    trace = traceparent(delivery.attributes.get("traceparent"))
    with log.bind(**labels, traceparent=trace), everything.tracer.span("dispatch.bell", trace, **labels):
        try:
            return "", 204 if ring(message, everything) else 429
        except NotStarted as error:
            _log.warning("no execution: %s", error.message, extra={"event": "execution.refused"})
            return "", 429


def _task(request: flask.Request, everything: Services) -> flask.typing.ResponseReturnValue:
    body = b""
    try:
        body = read_body(request)
        message = job_message(body)
    except (InvalidRequest, TooLarge) as error:
        # Answered with 204 it is gone; the letter is what remains.
        _log.error("task without a job", extra={"event": "task.malformed"})
        give_up_unreadable(body, request.headers.get("X-CloudTasks-TaskName", "a task"), error.message, everything)
        return "", 204
    labels = {"job_id": message.job_id, "submission": str(message.submission)}
    trace = traceparent(message.traceparent)
    with log.bind(**labels, traceparent=trace), everything.tracer.span("dispatch.task", trace, **labels):
        # 409, not 429 or 503: those would slow the whole queue down for one job's sake.
        try:
            return "", 204 if cpu_task.run(message, everything, deadline_seconds=_TASK_SECONDS) else 409
        except RecordUnreadable as error:
            _log.error("not started: %s", error.message, extra={"event": "record.unreadable"})
            return "", 409
