"""Errors as application/problem+json (RFC 9457), every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import flask

from shared.api import FieldFault, Problem
from shared.errors import InvalidRequest, JobError, MethodNotAllowed, RetryableError


def problem(error: JobError, *, headers: Mapping[str, str] | None = None) -> flask.Response:
    """The response for one error; a retryable one says when to come again."""
    faults = error.faults if isinstance(error, InvalidRequest) else ()
    body = Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        code=error.reason_code,
        errors=tuple(FieldFault(field=fault.field, detail=fault.detail) for fault in faults),
    )
    response = flask.Response(body.model_dump_json() + "\n", error.status, content_type="application/problem+json")
    if isinstance(error, RetryableError):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    response.headers.update(headers or {})
    return response
