"""POST /v1/uploads: a resumable upload URL whose upload becomes the job."""

from __future__ import annotations

import json
import secrets

import flask

from functions.api import bodies
from functions.api.answers import answer
from functions.on_upload import ticket_key
from shared.api import UploadBody, UploadTicket, operations_of, status_url
from shared.errors import Fault, InvalidRequest, SourceRefused
from shared.job import job_id_for
from shared.services import Services
from shared.settings import ApiKey


def create(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    body = bodies.read(request, UploadBody)
    if body.webhook_url is not None:
        try:
            everything.http.check(body.webhook_url)
        except SourceRefused as refused:
            fault = Fault("webhook_url", refused.message)
            raise InvalidRequest(refused.message, (fault,), code=refused.reason_code) from refused
    settings = everything.settings
    ticket = secrets.token_hex(16)
    name = f"tickets/{ticket}/{body.filename}"
    metadata = {
        "caller": key.name,
        "webhook_url": body.webhook_url,
        "id": body.id,
        "labels": json.dumps(body.labels) if body.labels else None,
        "traceparent": request.headers.get("traceparent"),
    }
    if body.operations:
        metadata["operations"] = json.dumps([each.model_dump() for each in operations_of(body.operations)])
    url = everything.objects.upload_session(
        settings.uploads_bucket,
        name,
        content_type=body.content_type,
        metadata={field: value for field, value in metadata.items() if value},
        origin=request.headers.get("Origin"),
    )
    job_id = job_id_for(ticket_key(settings.uploads_bucket, ticket))
    made = UploadTicket(
        upload_url=url,
        job_id=job_id,
        id=body.id,
        status_url=status_url(job_id, settings.ingest_url),
        object=f"gs://{settings.uploads_bucket}/{name}",
    )
    return answer(made, 201)
