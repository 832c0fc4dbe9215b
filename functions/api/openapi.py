"""The OpenAPI 3.1 document, made from the models that validate and answer (https://spec.openapis.org/oas/v3.1.1)."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions.api import openapi_letters as letters
from functions.api.openapi_parts import JOB_ID, REF, header, operation, path, query
from shared.api import Accepted, JobBody, JobPage, JobView, Problem, UploadBody, UploadTicket
from shared.job import State
from shared.operations import BY_NAME, Thumbnails

_BODIES: Final[tuple[type[BaseModel], ...]] = (JobBody, UploadBody, *letters.BODIES)
_ANSWERS: Final[tuple[type[BaseModel], ...]] = (
    Accepted,
    JobPage,
    JobView,
    Problem,
    UploadTicket,
    *letters.ANSWERS,
)


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
        "paths": {**_paths(), **letters.paths()},
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "schemas": _schemas(),
        },
    }


def _schemas() -> dict[str, Any]:
    _, bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=REF)
    _, answers = models_json_schema([(model, "serialization") for model in _ANSWERS], ref_template=REF)
    # Operations are in both: callers may leave defaults out, so the bodies' schemas are the wider ones.
    schemas: dict[str, Any] = {**answers["$defs"], **bodies["$defs"]}
    for model in BY_NAME.values():
        # A default for us; for callers it is what tells an operation from the others.
        schemas[model.__name__]["required"] = ["name"]
    schemas[Thumbnails.__name__]["not"] = {
        "required": ["count", "seconds"],
        "properties": {"count": {"type": "integer"}, "seconds": {"type": "array"}},
    }
    return schemas


def _paths() -> dict[str, Any]:
    return {
        "/v1/jobs": {
            "post": operation(
                "createJob",
                "Submit a job; 202 means that it is safe in storage and queue",
                parameters=[
                    header("Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255}),
                    header("X-Destination", {"type": "string", "enum": ["cloud-run", "gke"]}),
                    header("Prefer", {"type": "string", "description": "wait=N: hold the answer up to N seconds"}),
                ],
                body=JobBody,
                answers={
                    202: ("Accepted", Accepted, {"Location": "Where the job's record is"}),
                    200: ("Done while the caller waited", JobView, {}),
                },
                problems=(400, 401, 404, 413, 415, 422, 429, 500, 503),
            ),
            "get": operation(
                "listJobs",
                "Newest first; a page may be short and yet have a next one",
                parameters=[
                    query("state", {"type": "string", "enum": [str(state) for state in State]}),
                    query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
                    query("page_token", {"type": "string", "pattern": "^[0-9]{14}-[0-9a-f]{32}$"}),
                ],
                answers={200: ("A page", JobPage, {})},
                problems=(400, 401, 500, 503),
            ),
        },
        "/v1/uploads": {
            "post": operation(
                "createUpload",
                "A resumable upload URL whose upload becomes the job",
                body=UploadBody,
                answers={201: ("PUT the bytes to upload_url", UploadTicket, {})},
                problems=(400, 401, 413, 429, 500, 503),
            )
        },
        "/v1/jobs/{job_id}": {
            "parameters": [JOB_ID],
            "get": operation(
                "getJob",
                "The record, with progress and links to artifacts",
                answers={200: ("The record", JobView, {})},
                problems=(401, 404, 500, 503),
            ),
        },
        "/v1/jobs/{job_id}/artifacts/{name}": {
            "parameters": [JOB_ID, path("name", {"type": "string", "minLength": 1})],
            "get": operation(
                "getArtifact",
                "A redirect to a signed URL, made on the click",
                answers={302: ("To the artifact", None, {"Location": "The signed URL"})},
                problems=(401, 404, 500, 503),
            ),
        },
        "/v1/jobs/{job_id}:cancel": {
            "parameters": [JOB_ID],
            "post": operation(
                "cancelJob",
                "Cancel a queued or running job",
                answers={202: ("Cancelled; running work stops within seconds", Accepted, {})},
                problems=(401, 404, 409, 429, 500, 503),
            ),
        },
        "/v1/jobs/{job_id}:redrive": {
            "parameters": [JOB_ID],
            "post": operation(
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
