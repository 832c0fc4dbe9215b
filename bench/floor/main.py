"""The floor that `ingest` is measured against: a function that answers 202 at once."""

from __future__ import annotations

import flask
import functions_framework


@functions_framework.http
def floor(request: flask.Request) -> flask.typing.ResponseReturnValue:
    request.get_data()
    return {"message": "processing"}, 202
