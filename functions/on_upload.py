"""Trigger: CloudEvent `google.cloud.storage.object.v1.finalized` from UPLOADS_BUCKET.
Does: the object becomes a JobRequest, and a job; a refused upload leaves a record, too.
Acks when: the job is safe, or the event can never become one.
Raises when: a service is down; the event comes again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import functions_framework
from cloudevents.http import CloudEvent
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from shared import classify, log
from shared.api import UploadMetadata, operations_of
from shared.api_keys import UPLOADER
from shared.errors import InvalidRequest, PermanentError, SourceMissing
from shared.events import UploadedObject, traceparent, uploaded_object
from shared.faults import faults_of
from shared.job import Job, Source, job_id_for
from shared.services import Services, services
from shared.store import Marker
from shared.submit import JobRequest, refuse, submit
from shared.tickets import Ticket

_log = logging.getLogger(__name__)


@functions_framework.cloud_event
def on_upload(event: CloudEvent) -> None:
    trace = traceparent(event.get("traceparent"))
    with log.bind(traceparent=trace):
        try:
            upload = uploaded_object(event)
        except InvalidRequest as error:
            _log.error("event dropped: %s", error.message, extra={"event": "upload.malformed"})
            return
        accept(upload, trace, services())


def accept(upload: UploadedObject, trace: str | None, everything: Services) -> Job | None:
    """Make the object a job, or a record of its refusal; None for what is no upload. Raises RetryableError."""
    if upload.bucket != everything.settings.uploads_bucket:
        # Our own results must never become uploads.
        _log.error("event of another bucket dropped", extra={"event": "upload.foreign", "bucket": upload.bucket})
        return None
    if upload.name.endswith("/") and upload.size == 0:
        _log.info("folder placeholder ignored", extra={"event": "upload.folder"})
        return None
    head = everything.objects.head(upload.bucket, upload.name, length=classify.HEAD_BYTES, generation=upload.generation)
    facts = (
        classify.classify(upload.name, upload.content_type, head.data, upload.size)
        if head
        else classify.presume(upload.name, upload.content_type, upload.size)
    )
    ticket = _ticket(upload, everything)
    holder = ticket.holder(upload.metadata, everything.settings.api_keys) if ticket else None
    bare = JobRequest(
        idempotency_key=_key(upload, ticket),
        sent={"bucket": upload.bucket, "name": upload.name, "generation": upload.generation},
        caller=holder.name if holder else UPLOADER,
        source=Source(uri=f"gs://{upload.bucket}/{upload.name}", generation=upload.generation),
        file=facts,
        traceparent=trace,
    )
    request = bare
    try:
        if head is None:
            raise SourceMissing("the upload was deleted or overwritten before it was looked at")
        request = _with_metadata(bare, upload.metadata, everything)
        job = submit(request, everything).job
    except PermanentError as error:
        _log.warning("upload refused: %s", error.reason_code, extra={"event": "upload.refused"})
        job = refuse(request, error, everything).job
    if holder is not None and holder.allowance is not None:
        # The job has a marker of its own by now, or needs none.
        everything.store.mark_closed(Marker.of_ticket(job.job_id, holder.name))
    return job


def upload_job_id(upload: UploadedObject, everything: Services) -> str:
    """Of the job that this upload has become, or would become. Raises RetryableError."""
    return job_id_for(_key(upload, _ticket(upload, everything)))


def job_of(upload: UploadedObject, everything: Services) -> Job | None:
    """The job that this upload has become. Raises RetryableError."""
    seen = everything.store.get(upload_job_id(upload, everything))
    return seen.job if seen else None


def _key(upload: UploadedObject, ticket: Ticket | None) -> str:
    return ticket.idempotency_key if ticket else f"{upload.bucket}/{upload.name}#{upload.generation}"


def _ticket(upload: UploadedObject, everything: Services) -> Ticket | None:
    """The ticket that this upload redeems, for the first generation at its name; a later one is a job of its own."""
    ticket = Ticket.named(upload.bucket, upload.name)
    seen = everything.store.get(ticket.job_id) if ticket else None
    return ticket if seen is None or seen.job.source.generation == upload.generation else None


def _with_metadata(request: JobRequest, metadata: Mapping[str, str], everything: Services) -> JobRequest:
    """The operations, webhook and so on that the object's custom metadata names. Raises InvalidRequest."""
    try:
        asked = UploadMetadata.model_validate_json(to_json(_decoded(metadata)))
    except (ValidationError, ValueError) as cause:
        faults = faults_of(cause) if isinstance(cause, ValidationError) else ()
        text = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults) or "operations or labels is not JSON"
        raise InvalidRequest(f"the upload's metadata: {text}", faults) from cause
    if asked.webhook_url is not None:
        everything.http.check(asked.webhook_url)
    return JobRequest(
        idempotency_key=request.idempotency_key,
        sent=request.sent,
        caller=request.caller,
        source=request.source,
        file=request.file,
        operations=operations_of(asked.operations) if asked.operations else None,
        webhook_url=asked.webhook_url,
        id=asked.id,
        labels=asked.labels,
        priority=asked.priority,
        traceparent=traceparent(asked.traceparent) or request.traceparent,
    )


def _decoded(metadata: Mapping[str, str]) -> dict[str, Any]:
    """`operations` is JSON or a list of names (semicolons, since gcloud takes commas for itself), `labels` is JSON."""
    values: dict[str, Any] = {key.replace("-", "_"): value for key, value in metadata.items()}
    operations = values.get("operations")
    if isinstance(operations, str):
        is_json = operations.lstrip().startswith(("[", "{", '"'))
        values["operations"] = (
            from_json(operations)
            if is_json
            else [name.strip() for name in re.split("[,;]", operations) if name.strip()]
        )
    if isinstance(values.get("labels"), str):
        values["labels"] = from_json(values["labels"])
    return values
