"""GET /v1/jobs/{job_id}/artifacts/{name}: a redirect to a signed URL, made on the click."""

from __future__ import annotations

from typing import Final

import flask

from functions.api.keys import own_job
from shared.api_keys import ApiKey
from shared.errors import NotFound
from shared.services import Services

_URL_SECONDS: Final = 900


def redirect(request: flask.Request, everything: Services, key: ApiKey, job_id: str, name: str) -> flask.Response:
    outcome = own_job(job_id, key, everything).job.outcome
    # The record's own list decides: a name never becomes a path unchecked.
    if outcome is None or name not in {made.name for made in outcome.artifacts}:
        raise NotFound("no such artifact")
    bucket, _, folder = outcome.folder.removeprefix("gs://").partition("/")
    url = everything.objects.download_url(bucket, folder + name, expires_seconds=_URL_SECONDS)
    response = flask.Response(status=302)
    response.headers["Location"] = url
    response.headers["Cache-Control"] = "no-store"
    response.autocorrect_location_header = False
    return response
