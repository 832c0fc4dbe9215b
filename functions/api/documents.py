"""GET /health and GET /openapi.json."""

from __future__ import annotations

from functools import cache

import flask

from functions.api.openapi import document
from shared.services import Services


def health(request: flask.Request, everything: Services) -> flask.Response:
    """This process answers and its settings parse; whether the services behind it do is what alerts are for."""
    return flask.Response('{"status":"ok"}', 200, content_type="application/json")


def openapi(request: flask.Request, everything: Services) -> flask.Response:
    return flask.Response(_text(everything.settings.ingest_url), 200, content_type="application/json")


@cache
def _text(base: str) -> str:
    return flask.json.dumps(document(base))
