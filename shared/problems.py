"""Errors as application/problem+json (RFC 9457), every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import flask
from pydantic import ValidationError

from shared.api import FieldFault, Problem
from shared.errors import Fault, InvalidRequest, JobError, MethodNotAllowed, RetryableError

#: Largest request body, in bytes.
MAX_BODY_BYTES: Final = 1_000_000


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
        response.headers["Retry-After"] = "5"
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    response.headers.update(headers or {})
    return response


def faults_of(error: ValidationError) -> tuple[Fault, ...]:
    """Pydantic's errors by the path a caller knows: union tags are left out."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return tuple(
        Fault(_field(each["loc"]), each["msg"].removeprefix("Value error, "))
        for each in found
        # A list whose items are wrong is also "too short", since only the right ones count.
        if not (each["type"] == "too_short" and any(_is_inside(other["loc"], each["loc"]) for other in found))
    )


#: Names that pydantic puts into an error's path for the branch of a union it took.
_TAGS: Final = frozenset({"bare", "object", "probe", "transcribe", "thumbnails"})


def _field(path: tuple[int | str, ...]) -> str:
    is_union = path[:1] == ("operations",)
    return ".".join(str(part) for part in path if not (is_union and part in _TAGS)) or "body"


def _is_inside(path: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer
