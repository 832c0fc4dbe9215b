"""The words of an OpenAPI document: operations, answers, problems, parameters."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from shared.api import Problem

REF: Final = "#/components/schemas/{model}"

_REASONS: Final = {
    400: "A parameter is wrong; all faults are listed at once",
    401: "X-API-Key is missing or not known",
    404: "No such job, artifact or source, or it is another caller's",
    409: "The job's state does not allow this",
    413: "The body is larger than 1 MB",
    415: "The source is not media",
    422: "This Idempotency-Key was used with another request",
    429: "Too much at once: come again after Retry-After",
    500: "The hub itself is broken: an operator must mend it",
    503: "A service is down: come again after Retry-After",
}


def operation(
    name: str,
    summary: str,
    *,
    answers: dict[int, tuple[str, type[BaseModel] | None, dict[str, str]]],
    problems: tuple[int, ...],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
) -> dict[str, Any]:
    responses = {str(status): answer(*each) for status, each in answers.items()}
    responses |= {str(status): problem(status) for status in problems}
    made: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return made


def answer(description: str, model: type[BaseModel] | None, headers: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": description}
    if model is not None:
        made["content"] = {"application/json": {"schema": ref(model)}}
    if headers:
        made["headers"] = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    return made


def problem(status: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": _REASONS[status],
        "content": {"application/problem+json": {"schema": ref(Problem)}},
    }
    if status in (429, 503):
        made["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 0}}}
    return made


def ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def header(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema}


def query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


JOB_ID: Final = path("job_id", {"type": "string", "pattern": "^[0-9a-f]{32}$"})
