"""Asks Cloud Monitoring (or any Prometheus) in PromQL.

https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui#ui-http
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from deploy.gcloud import Cloud
from deploy.web import bearer, call_json


@dataclass(frozen=True, slots=True)
class Sample:
    labels: Mapping[str, str]
    value: float


class Metrics(Protocol):
    def ask(self, query: str) -> list[Sample]:
        """The query's value now, for each combination of labels; raises CannotDeploy."""


@dataclass(frozen=True)
class Prometheus:
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ask(self, query: str) -> list[Sample]:
        answer = call_json(f"{self.url}/api/v1/query?{urlencode({'query': query})}", headers=self.headers)
        return [Sample(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]


def monitoring(cloud: Cloud, project: str) -> Prometheus:
    """The project's own metrics, as whoever is logged in to gcloud."""
    url = f"https://monitoring.googleapis.com/v1/projects/{project}/location/global/prometheus"
    return Prometheus(url, bearer(cloud.text("auth", "print-access-token")))
