"""Asks Cloud Monitoring (or any Prometheus) in PromQL.

https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui#ui-http
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from deploy.faults import NoGoodAnswer
from deploy.gcloud import Cloud
from deploy.web import bearer, call_json


@dataclass(frozen=True, slots=True)
class Sample:
    labels: Mapping[str, str]
    value: float


class Metrics(Protocol):
    def ask(self, query: str) -> list[Sample]:
        """The query's value now, for each combination of labels; raises CannotDeploy."""


@dataclass
class Prometheus:
    url: str
    #: Gives headers that say who asks; called again when they are not taken any more: a token lives for an hour.
    log_in: Callable[[], Mapping[str, str]] = dict
    _headers: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._headers = self.log_in()

    def ask(self, query: str) -> list[Sample]:
        url = f"{self.url}/api/v1/query?{urlencode({'query': query})}"
        try:
            answer = call_json(url, headers=self._headers)
        except NoGoodAnswer as error:
            if error.answered != 401:
                raise
            self._headers = self.log_in()
            answer = call_json(url, headers=self._headers)
        return [Sample(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]


def monitoring(cloud: Cloud, project: str) -> Prometheus:
    """The project's own metrics, as whoever is logged in to gcloud."""
    url = f"https://monitoring.googleapis.com/v1/projects/{project}/location/global/prometheus"
    return Prometheus(url, lambda: bearer(cloud.text("auth", "print-access-token")))
