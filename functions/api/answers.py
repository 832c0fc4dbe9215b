"""Models as JSON responses."""

from __future__ import annotations

import flask
from pydantic import BaseModel


def answer(body: BaseModel, status: int, **headers: str) -> flask.Response:
    response = flask.Response(body.model_dump_json() + "\n", status, content_type="application/json")
    response.headers.update(headers)
    return response
