"""How many jobs wait, from a Prometheus-compatible query API (Cloud Monitoring's, or a local one).

https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui#ui-http
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, Protocol

import google.auth
import google.auth.transport.requests
import requests
from google.auth.exceptions import GoogleAuthError

from shared.lanes import CPU_QUEUES
from shared.recent import Recent
from shared.settings import Settings

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS: Final = 0.3
_AGE_SECONDS: Final = 15.0


def query(*subscriptions: str) -> str:
    """PromQL for what waits in these subscriptions or is being worked on."""
    return f"sum({_undelivered(subscriptions)})"


def work_query(settings: Settings) -> str:
    """The same for all routes: what is pulled, and the tasks of the CPU's queues. A missing series adds nothing."""
    depth = f'cloudtasks_googleapis_com:queue_depth{{queue_id=~"{"|".join(CPU_QUEUES.values())}"}}'
    return f"sum({_undelivered((*settings.gpu_lanes, *settings.gke_lanes))} or {depth})"


def _undelivered(subscriptions: Iterable[str]) -> str:
    names = "|".join(subscriptions)
    return f'pubsub_googleapis_com:subscription_num_undelivered_messages{{subscription_id=~"{names}"}}'


class Backlog(Protocol):
    def waiting(self) -> int | None:
        """Jobs that wait or are being worked on; None when that is not known."""


class UnknownBacklog:
    def waiting(self) -> int | None:
        return None


class PrometheusBacklog:
    """Cached for some seconds, also when the answer is "unknown": a slow metrics service slows nobody down."""

    def __init__(self, url: str, query: str) -> None:
        self._query = query
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._session = _session(url)
        self._recent: Recent[int | None] = Recent(self._ask, at_first=None, seconds=_AGE_SECONDS)

    def waiting(self) -> int | None:
        return self._recent.get()

    def _ask(self) -> int | None:
        try:
            answer = self._session.get(self._url, params={"query": self._query}, timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()
            result = answer.json()["data"]["result"]
            return int(float(result[0]["value"][1])) if result else None
        except (requests.RequestException, GoogleAuthError, ValueError, KeyError, IndexError, TypeError) as error:
            _log.warning("the backlog is unknown", extra={"event": "backlog.unknown", "error": type(error).__name__})
            return None


def _session(url: str) -> requests.Session:
    if not url.startswith("https://"):
        return requests.Session()
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/monitoring.read"])
    return google.auth.transport.requests.AuthorizedSession(credentials)
