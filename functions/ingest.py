"""Trigger: HTTPS, the API (docs: GET /openapi.json).
Does: checks the key, finds the route, calls its handler in functions.api.
Acks when: always answers; 202 only when the job is safe in storage and queue.
Raises when: never; every error is application/problem+json.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import flask
import functions_framework

from functions.api import artifacts, documents, jobs, letter_redrives, letters, listing, uploads
from functions.api.keys import authenticate
from shared import log
from shared.api_keys import ApiKey
from shared.errors import JobError, MethodNotAllowed, NotFound, Overloaded
from shared.events import traceparent
from shared.problems import problem
from shared.services import services

_log = logging.getLogger(__name__)

Handler = Callable[..., flask.Response]


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: re.Pattern[str]
    handler: Handler


def _route(method: str, path: str, handler: Handler) -> _Route:
    return _Route(method, re.compile(path), handler)


_JOB: Final = r"/v1/jobs/(?P<job_id>[0-9a-f]{32})"
_LETTER: Final = r"/v1/dead-letters/(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})/(?P<name>[0-9A-Za-z-]{1,100})"
_OPEN: Final = (
    # Cloud Run's front end keeps /healthz to itself (https://cloud.google.com/run/docs/known-issues#ah).
    _route("GET", r"/healthz?", documents.health),
    _route("GET", r"/openapi\.json", documents.openapi),
)
_KEYED: Final = (
    _route("POST", r"/v1/jobs", jobs.create),
    _route("GET", r"/v1/jobs", listing.page),
    _route("POST", r"/v1/uploads", uploads.create),
    _route("GET", _JOB, jobs.get),
    _route("GET", _JOB + r"/artifacts/(?P<name>.+)", artifacts.redirect),
    _route("POST", _JOB + r":cancel", jobs.cancel),
    _route("POST", _JOB + r":redrive", jobs.redrive),
    _route("GET", r"/v1/dead-letters", letters.page),
    _route("POST", r"/v1/dead-letters:redrive", letter_redrives.redrive_all),
    _route("GET", _LETTER, letters.get),
    _route("POST", _LETTER + r":redrive", letters.redrive),
    _route("POST", _LETTER + r":discard", letters.discard),
)


@functions_framework.http
def ingest(request: flask.Request) -> flask.Response:
    with log.bind(traceparent=traceparent(request.headers.get("traceparent"))):
        try:
            return _answer(request)
        except JobError as error:
            if isinstance(error, Overloaded):
                _log.warning("refused: %s", error.message, extra={"event": "api.refused", "code": error.reason_code})
            elif error.status >= 500:
                _log.warning("not served: %s", error.message, extra={"event": "api.failed", "code": error.reason_code})
            return problem(error)
        except Exception:
            _log.exception("a fault of our own", extra={"event": "api.crashed"})
            return problem(JobError("something inside the hub is broken; its log knows what", code="internal_error"))


def _answer(request: flask.Request) -> flask.Response:
    everything = services()
    if found := _find(_OPEN, request):
        handler, names = found
        return handler(request, everything, **names)
    # Before the path is looked at: strangers learn nothing of what exists.
    key: ApiKey = authenticate(request.headers.get("X-API-Key"), everything.settings.api_keys)
    if found := _find(_KEYED, request):
        handler, names = found
        return handler(request, everything, key, **names)
    raise NotFound("no such path; GET /openapi.json lists them all")


def _find(routes: tuple[_Route, ...], request: flask.Request) -> tuple[Handler, dict[str, str]] | None:
    allowed = set()
    for route in routes:
        if match := route.path.fullmatch(request.path):
            if route.method == request.method:
                return route.handler, match.groupdict()
            allowed.add(route.method)
    if allowed:
        raise MethodNotAllowed(f"this path takes {' and '.join(sorted(allowed))}", allowed=tuple(sorted(allowed)))
    return None
