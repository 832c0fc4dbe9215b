"""POST /v1/uploads: a resumable upload URL whose upload becomes the job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import flask

from functions.api import bodies, sources
from functions.api.answers import answer
from shared.admission import admit
from shared.api import UploadBody, UploadTicket, operations_of, status_url
from shared.api_keys import ApiKey
from shared.errors import Fault
from shared.events import traceparent
from shared.lanes import Priority
from shared.services import Services
from shared.store import Marker
from shared.tickets import Ticket

#: Storage takes 8 KiB of custom metadata with an object (https://cloud.google.com/storage/quotas#objects); the rest
#: is for what we add ourselves.
_MAX_METADATA_BYTES: Final = 7 * 1024
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,260}")


def create(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    body = bodies.read(request, UploadBody, (), lambda body: _faults(body, everything))
    admit(key, everything)
    settings = everything.settings
    ticket = Ticket.new(settings.uploads_bucket)
    name = ticket.object_name(body.filename)
    metadata = {**_metadata(body), **ticket.held_by(key)}
    if trace := traceparent(request.headers.get("traceparent")):
        metadata["traceparent"] = trace
    url = everything.objects.upload_session(
        settings.uploads_bucket,
        name,
        content_type=body.content_type,
        metadata=metadata,
        origin=_origin(request),
    )
    if key.allowance is not None:
        # After the session, which may fail: until its file comes, the ticket counts like the job that it will be.
        everything.store.mark_open(Marker.of_ticket(ticket.job_id, key.name))
    made = UploadTicket(
        upload_url=url,
        job_id=ticket.job_id,
        id=body.id,
        status_url=status_url(ticket.job_id, settings.ingest_url),
        object=f"gs://{settings.uploads_bucket}/{name}",
    )
    return answer(made, 201)


def _origin(request: flask.Request) -> str | None:
    """The page that may use the URL from a browser; it goes on in a header of our own, so only as browsers send it."""
    origin = request.headers.get("Origin", "")
    return origin if _ORIGIN.fullmatch(origin) else None


def _metadata(body: UploadBody) -> dict[str, str]:
    """What `on_upload` reads back from the object."""
    operations = [each.model_dump() for each in operations_of(body.operations or ())]
    asked = {
        "webhook_url": body.webhook_url,
        "id": body.id,
        "labels": json.dumps(body.labels) if body.labels else None,
        "operations": json.dumps(operations) if operations else None,
        "priority": body.priority if body.priority is Priority.HIGH else None,
    }
    return {field: value for field, value in asked.items() if value}


def _faults(body: UploadBody, everything: Services) -> Iterator[Fault]:
    if body.webhook_url is not None:
        yield from sources.url_faults("webhook_url", body.webhook_url, everything)
    if sum(len(field) + len(value.encode()) for field, value in _metadata(body).items()) > _MAX_METADATA_BYTES:
        yield Fault(
            "body", f"operations, labels, id and webhook_url are together longer than {_MAX_METADATA_BYTES} bytes"
        )
