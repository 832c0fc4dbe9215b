"""The OpenAPI 3.1 document, made from the models that validate and answer (https://spec.openapis.org/oas/v3.1.1)."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.api import Accepted, JobBody, JobPage, JobView, Problem, UploadBody, UploadTicket
from shared.job import State
from shared.operations import BY_NAME, Thumbnails

_BODIES: Final[tuple[type[BaseModel], ...]] = (JobBody, UploadBody)
_ANSWERS: Final[tuple[type[BaseModel], ...]] = (Accepted, JobPage, JobView, Problem, UploadTicket)
_REF: Final = "#/components/schemas/{model}"

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


def document(base: str) -> dict[str, Any]:
    """The document as a JSON-able dict; `base` is the API's own URL."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nca-fanout",
            "version": "1",
            "description": "Media in; transcripts, captions, thumbnails and facts back.",
        },
        "servers": [{"url": base}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "schemas": _schemas(),
        },
    }


def _schemas() -> dict[str, Any]:
    _, bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)
    _, answers = models_json_schema([(model, "serialization") for model in _ANSWERS], ref_template=_REF)
    # Operations are in both: callers may leave defaults out, so the bodies' schemas are the wider ones.
    schemas: dict[str, Any] = {**answers["$defs"], **bodies["$defs"]}
    for operation in BY_NAME.values():
        # A default for us; for callers it is what tells an operation from the others.
        schemas[operation.__name__]["required"] = ["name"]
    schemas[Thumbnails.__name__]["not"] = {
        "required": ["count", "seconds"],
        "properties": {"count": {"type": "integer"}, "seconds": {"type": "array"}},
    }
    return schemas


def _paths() -> dict[str, Any]:
    return {
        "/v1/jobs": {
            "post": _operation(
                "createJob",
                "Submit a job; 202 means that it is safe in storage and queue",
                parameters=[
                    _header("Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255}),
                    _header("X-Destination", {"type": "string", "enum": ["cloud-run", "gke"]}),
                    _header("Prefer", {"type": "string", "description": "wait=N: hold the answer up to N seconds"}),
                ],
                body=JobBody,
                answers={
                    202: ("Accepted", Accepted, {"Location": "Where the job's record is"}),
                    200: ("Done while the caller waited", JobView, {}),
                },
                problems=(400, 401, 404, 413, 415, 422, 429, 500, 503),
            ),
            "get": _operation(
                "listJobs",
                "Newest first; a page may be short and yet have a next one",
                parameters=[
                    _query("state", {"type": "string", "enum": [str(state) for state in State]}),
                    _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
                    _query("page_token", {"type": "string", "pattern": "^[0-9]{14}-[0-9a-f]{32}$"}),
                ],
                answers={200: ("A page", JobPage, {})},
                problems=(400, 401, 500, 503),
            ),
        },
        "/v1/uploads": {
            "post": _operation(
                "createUpload",
                "A resumable upload URL whose upload becomes the job",
                body=UploadBody,
                answers={201: ("PUT the bytes to upload_url", UploadTicket, {})},
                problems=(400, 401, 413, 429, 500, 503),
            )
        },
        "/v1/jobs/{job_id}": {
            "parameters": [_JOB_ID],
            "get": _operation(
                "getJob",
                "The record, with progress and links to artifacts",
                answers={200: ("The record", JobView, {})},
                problems=(401, 404, 500, 503),
            ),
        },
        "/v1/jobs/{job_id}/artifacts/{name}": {
            "parameters": [_JOB_ID, _path("name", {"type": "string", "minLength": 1})],
            "get": _operation(
                "getArtifact",
                "A redirect to a signed URL, made on the click",
                answers={302: ("To the artifact", None, {"Location": "The signed URL"})},
                problems=(401, 404, 500, 503),
            ),
        },
        "/v1/jobs/{job_id}:cancel": {
            "parameters": [_JOB_ID],
            "post": _operation(
                "cancelJob",
                "Cancel a queued or running job",
                answers={202: ("Cancelled; running work stops within seconds", Accepted, {})},
                problems=(401, 404, 409, 429, 500, 503),
            ),
        },
        "/v1/jobs/{job_id}:redrive": {
            "parameters": [_JOB_ID],
            "post": _operation(
                "redriveJob",
                "Start a failed, dead-lettered or cancelled job afresh",
                answers={202: ("Queued again", Accepted, {})},
                problems=(401, 404, 409, 429, 500, 503),
            ),
        },
        "/health": {
            "get": {
                "operationId": "health",
                "summary": "Is this process up?",
                "security": [],
                "responses": {"200": {"description": "It is"}},
            }
        },
    }


def _operation(
    name: str,
    summary: str,
    *,
    answers: dict[int, tuple[str, type[BaseModel] | None, dict[str, str]]],
    problems: tuple[int, ...],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
) -> dict[str, Any]:
    responses = {str(status): _answer(*answer) for status, answer in answers.items()}
    responses |= {str(status): _problem(status) for status in problems}
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return operation


def _answer(description: str, model: type[BaseModel] | None, headers: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description}
    if model is not None:
        answer["content"] = {"application/json": {"schema": _ref(model)}}
    if headers:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        }
    return answer


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _REASONS[status],
        "content": {"application/problem+json": {"schema": _ref(Problem)}},
    }
    if status in (429, 503):
        described["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 0}}}
    return described


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _header(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_JOB_ID: Final = _path("job_id", {"type": "string", "pattern": "^[0-9a-f]{32}$"})
