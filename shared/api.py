"""The API's bodies: what callers send, what they get. The OpenAPI document is made from these models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from shared.classify import FileFacts
from shared.costs import Cost, cost_of
from shared.job import Failure, Job, PastAttempt, PastSubmission, Progress, State, WebhookTry
from shared.lanes import Priority
from shared.operations import BY_NAME, Operation, OperationName, each_once
from shared.prices import Tariff
from shared.routing import Destination

#: An operation by its bare name, or an object with its name and parameters.
AskedOperation = Annotated[
    Annotated[OperationName, Tag("bare")] | Annotated[Operation, Tag("object")],
    Discriminator(lambda value: "bare" if isinstance(value, str) else "object"),
]
#: Printable text in one line: it comes back in JSON, headers and logs.
_Line = StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
Url = Annotated[str, StringConstraints(min_length=9, max_length=2048, pattern=r"^https?://[^\s\x00-\x1f\x7f]+$")]
SourceUri = Annotated[
    str, StringConstraints(min_length=8, max_length=2048, pattern=r"^(gs|https?)://[^\x00-\x1f\x7f]+$")
]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Asked(_Body):
    #: Receives a signed POST when the job has ended.
    webhook_url: Url | None = None
    #: Your own correlation id; comes back in every answer.
    id: Annotated[str, _Line] | None = None
    labels: Annotated[
        dict[Annotated[str, _Line], Annotated[str, _Line]],
        Field(max_length=32, json_schema_extra={"additionalProperties": False}),
    ] = {}
    #: `high` goes past all that waits with `normal`.
    priority: Priority = Priority.NORMAL


#: JSON's arrays may arrive as lists, which a strict tuple would refuse.
_Operations = Annotated[
    tuple[AskedOperation, ...],
    Field(min_length=1, max_length=len(BY_NAME), strict=False, description="Each at most once."),
    AfterValidator(each_once),
]


class JobBody(_Asked):
    """POST /v1/jobs"""

    #: `gs://bucket/name` in an allowed bucket, or `https://…`.
    source: SourceUri
    operations: _Operations


class UploadBody(_Asked):
    """POST /v1/uploads"""

    #: Neither "." nor "..": it becomes the last part of an object's name, and of a path where that is copied.
    filename: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=200,
            pattern=r"^(\.{0,2}[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*|\.{3}[^/\\\x00-\x1f\x7f]*)$",
        ),
    ]
    content_type: Annotated[str, StringConstraints(max_length=127, pattern=r"^[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+$")]
    #: The kind's default profile when left out.
    operations: _Operations | None = None


class UploadMetadata(_Asked):
    """An upload's custom metadata, decoded: what its job shall be."""

    model_config = ConfigDict(extra="ignore")
    operations: _Operations | None = None
    traceparent: str | None = None


def operations_of(asked: tuple[AskedOperation, ...]) -> tuple[Operation, ...]:
    return tuple(BY_NAME[each]() if isinstance(each, str) else each for each in asked)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Accepted(_Answer):
    """202: the job is safe in storage and queue."""

    job_id: str
    id: str | None
    message: Literal["processing"] = "processing"
    state: State
    status_url: str
    destination: Destination | None
    reason: str


class UploadTicket(_Answer):
    """201: PUT the file's bytes to `upload_url`; that upload is the job. The URL is a secret."""

    upload_url: str
    job_id: str
    id: str | None
    status_url: str
    object: str


class ArtifactView(_Answer):
    name: str
    size: int
    content_type: str
    #: Redirects to a signed URL, made on the click.
    url: str


class JobView(_Answer):
    """GET /v1/jobs/{job_id}: the record as callers see it."""

    job_id: str
    id: str | None
    labels: dict[str, str]
    state: State
    source: str
    generation: int | None
    file: FileFacts
    operations: tuple[Operation, ...]
    priority: Priority
    destination: Destination | None
    reason: str
    submission: int
    attempt: int
    attempts_counted: int
    progress: Progress | None
    error: Failure | None
    warnings: tuple[str, ...]
    artifacts: tuple[ArtifactView, ...]
    #: The key facts of each operation, by its name.
    result: dict[str, Any] | None
    device: str | None
    media_seconds: float | None
    processing_seconds: float | None
    queue_seconds: float | None
    real_time_factor: float | None
    #: None while no attempt has ended.
    cost: Cost | None = None
    webhook_url: str | None
    webhook_tries: tuple[WebhookTry, ...]
    #: Attempts that are over, of all submissions.
    attempts: tuple[PastAttempt, ...] = ()
    #: How the submissions before this one ended.
    submissions: tuple[PastSubmission, ...] = ()
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    status_url: str


class JobPage(_Answer):
    """GET /v1/jobs: newest first. A page may be short, or empty, and yet have a next one."""

    jobs: tuple[JobView, ...]
    next_page_token: str | None


class FieldFault(_Answer):
    field: str
    detail: str


class Problem(_Answer):
    """application/problem+json (RFC 9457); `code` is stable."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldFault, ...] = ()


def status_url(job_id: str, base: str) -> str:
    return f"{base}/v1/jobs/{job_id}"


def view(job: Job, base: str, tariff: Tariff) -> JobView:
    """The record as callers see it; `base` is the API's own URL."""
    here = status_url(job.job_id, base)
    outcome = job.outcome
    return JobView(
        job_id=job.job_id,
        id=job.id,
        labels=job.labels,
        state=job.state,
        source=job.source.uri,
        generation=job.source.generation,
        file=job.file,
        operations=job.operations,
        priority=job.priority,
        destination=job.destination,
        reason=job.reason,
        submission=job.submission,
        attempt=job.attempt,
        attempts_counted=job.attempts_counted,
        progress=job.progress,
        error=job.failure,
        warnings=job.warnings,
        artifacts=tuple(
            ArtifactView(**made.model_dump(), url=f"{here}/artifacts/{made.name}")
            for made in (outcome.artifacts if outcome else ())
        ),
        result=outcome.summary if outcome else None,
        device=outcome.device if outcome else None,
        media_seconds=outcome.media_seconds if outcome else None,
        processing_seconds=outcome.processing_seconds if outcome else None,
        queue_seconds=outcome.queue_seconds if outcome else None,
        real_time_factor=outcome.real_time_factor if outcome else None,
        cost=cost_of(job, tariff),
        webhook_url=job.webhook_url,
        webhook_tries=job.webhook_tries,
        attempts=job.attempts,
        submissions=job.submissions,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        status_url=here,
    )
