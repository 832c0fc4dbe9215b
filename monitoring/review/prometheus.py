"""Range queries to a Prometheus, or to Cloud Monitoring, which speaks the same.

https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui#ui-http
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

import google.auth
import google.auth.transport.requests
import requests
from google.auth.exceptions import GoogleAuthError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidRequest, Unavailable

_SCOPE: Final = "https://www.googleapis.com/auth/monitoring.read"
_TIMEOUT_SECONDS: Final = 60.0

Point: TypeAlias = tuple[datetime, float]


@dataclass(frozen=True, slots=True)
class Series:
    labels: Mapping[str, str]
    points: tuple[Point, ...]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Result(_Answer):
    metric: dict[str, str]
    values: tuple[tuple[float, Annotated[float, Field(strict=False)]], ...]


class _Matrix(_Answer):
    resultType: Literal["matrix"]
    result: tuple[_Result, ...]


class _Success(_Answer):
    data: _Matrix


class _Refusal(_Answer):
    error: str


class Prometheus:
    """`url` is what `/api/v1/query_range` follows; https is asked with Google's application default credentials."""

    def __init__(self, url: str) -> None:
        """Raises Unavailable without credentials for https."""
        self._url = f"{url.rstrip('/')}/api/v1/query_range"
        self._session = _session(url)

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        """The query's value at `start`, every `step`, up to `end`; values that are no numbers are left out.

        Raises InvalidRequest for a query that is refused, Unavailable when there is no answer.
        """
        asked = {
            "query": query,
            "start": str(start.timestamp()),
            "end": str(end.timestamp()),
            "step": str(step.total_seconds()),
        }
        try:
            answer = self._session.post(self._url, data=asked, timeout=_TIMEOUT_SECONDS)
        except (requests.RequestException, GoogleAuthError) as cause:
            raise Unavailable(f"no answer from {self._url}: {type(cause).__name__}") from cause
        if answer.status_code != requests.codes.ok:
            raise _refused(answer)
        try:
            matrix = _Success.model_validate_json(answer.content).data
        except ValidationError as cause:
            raise Unavailable(f"{self._url} answered something that is no matrix") from cause
        return tuple(Series(each.metric, _finite(each.values)) for each in matrix.result)


def _finite(values: tuple[tuple[float, float], ...]) -> tuple[Point, ...]:
    return tuple((datetime.fromtimestamp(at, UTC), value) for at, value in values if math.isfinite(value))


def _refused(answer: requests.Response) -> InvalidRequest | Unavailable:
    try:
        said = _Refusal.model_validate_json(answer.content).error
    except ValidationError:
        said = answer.reason
    words = f"{answer.status_code}: {said}"
    return InvalidRequest(words) if answer.status_code in (400, 422) else Unavailable(words)


def _session(url: str) -> requests.Session:
    if not url.startswith("https://"):
        local = requests.Session()
        # A proxy of the environment has no business between this machine and itself.
        local.trust_env = False
        return local
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except GoogleAuthError as cause:
        raise Unavailable("no Google credentials: run `gcloud auth application-default login`") from cause
    return google.auth.transport.requests.AuthorizedSession(credentials)
