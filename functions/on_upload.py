"""Trigger: CloudEvent `google.cloud.storage.object.v1.finalized` from UPLOADS_BUCKET.
Does: the object becomes a JobRequest, and a job; a refused upload leaves a record, too.
Acks when: the job is safe, or the event can never become one.
Raises when: a service is down; the event comes again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

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
from shared.job import Source, job_id_for
from shared.services import Services, services
from shared.submit import JobRequest, refuse, submit

_log = logging.getLogger(__name__)

#: Objects that POST /v1/uploads named: tickets/<ticket>/<filename>.
_TICKET: Final = re.compile(r"tickets/([0-9a-f]{32})/[^/]+")


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


def accept(upload: UploadedObject, trace: str | None, everything: Services) -> None:
    """Make the object a job, or a record of its refusal. Raises RetryableError."""
    if upload.bucket != everything.settings.uploads_bucket:
        # Our own results must never become uploads.
        _log.error("event of another bucket dropped", extra={"event": "upload.foreign", "bucket": upload.bucket})
        return
    if upload.name.endswith("/") and upload.size == 0:
        _log.info("folder placeholder ignored", extra={"event": "upload.folder"})
        return
    head = everything.objects.head(upload.bucket, upload.name, length=classify.HEAD_BYTES, generation=upload.generation)
    facts = (
        classify.classify(upload.name, upload.content_type, head.data, upload.size)
        if head
        else classify.presume(upload.name, upload.content_type, upload.size)
    )
    bare = JobRequest(
        idempotency_key=_key(upload, everything),
        sent={"bucket": upload.bucket, "name": upload.name, "generation": upload.generation},
        caller=UPLOADER,
        source=Source(uri=f"gs://{upload.bucket}/{upload.name}", generation=upload.generation),
        file=facts,
        traceparent=trace,
    )
    request = bare
    try:
        if head is None:
            raise SourceMissing("the upload was deleted or overwritten before it was looked at")
        request = _with_metadata(bare, upload.metadata, everything)
        submit(request, everything)
    except PermanentError as error:
        _log.warning("upload refused: %s", error.reason_code, extra={"event": "upload.refused"})
        refuse(request, error, everything)


def ticket_key(bucket: str, ticket: str) -> str:
    """The idempotency key of an upload announced by POST /v1/uploads."""
    return f"{bucket}/tickets/{ticket}"


def _key(upload: UploadedObject, everything: Services) -> str:
    """A ticket's first upload is the job its caller was told of; anything else is its own generation's."""
    own = f"{upload.bucket}/{upload.name}#{upload.generation}"
    ticket = _TICKET.fullmatch(upload.name)
    if ticket is None:
        return own
    announced = ticket_key(upload.bucket, ticket[1])
    seen = everything.store.get(job_id_for(announced))
    return announced if seen is None or seen.job.source.generation == upload.generation else own


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
    known = {key.name for key in everything.settings.api_keys}
    return JobRequest(
        idempotency_key=request.idempotency_key,
        sent=request.sent,
        caller=asked.caller if asked.caller in known else request.caller,
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
