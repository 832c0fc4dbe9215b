"""A dead letter, all the way: log → metric → rule → Prometheus → Alertmanager → alert_relay → n8n; and its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cloud import LocalCloud, local_cloud
from local.profile import Profile
from local.prometheus_tools import PrometheusTools
from shared.backlog import query
from tests.fakes.loopback import Receiver, receiving
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

#: 15 minutes in 7.5 seconds, and a scrape each half second.
SPEED = 120


@pytest.fixture(scope="module")
def n8n() -> Iterator[Receiver]:
    with receiving("/n8n") as receiver:
        yield receiver


@pytest.fixture(scope="module")
def watched(tools: PrometheusTools, n8n: Receiver) -> Iterator[LocalCloud]:
    """A cloud with monitoring. No job is done in it: the model is never looked at."""
    profile = Profile(
        model=Path("no-model"),
        monitoring=True,
        monitoring_speed=SPEED,
        sweep_every=1,
        extra={"N8N_ALERT_URL": n8n.url},
    )
    with local_cloud(profile) as cloud:
        yield cloud


def of_the_rule(n8n: Receiver) -> list[dict[str, Any]]:
    """The hub tells of each dead letter itself, too; and on a busy machine a sweep may come late at this speed."""
    return [body for body in list(n8n.bodies) if body["title"] == "DeadLetters"]


def test_dead_letter_is_one_open_alert_and_later_one_closed(watched: LocalCloud, n8n: Receiver) -> None:
    # A new series is shown as 0 in one scrape: where that is lost, only the next letter is an increase.
    for _ in range(3):
        watched.services.topics.publish("dead-letters", b"not a letter", {})
        with suppress(AssertionError):
            eventually(lambda: of_the_rule(n8n), within_s=10)
            break
    eventually(lambda: len(of_the_rule(n8n)) >= 2, lambda: f"two alerts: {n8n.bodies}")
    opened, closed = of_the_rule(n8n)
    assert opened["source"] == closed["source"] == "alertmanager"
    assert [opened["state"], closed["state"]] == ["open", "closed"]
    assert opened["severity"] == closed["severity"] == "critical"
    assert opened["labels"] == {"alertname": "DeadLetters", "severity": "critical", "app": "nca-fanout", "env": "local"}
    assert opened["summary"].startswith("A message was given up and lies in the dead letters.\n\n")
    assert opened["summary"].endswith("docs/runbooks.md#deadletters")
    assert opened["started_at"] == closed["started_at"] < closed["ended_at"]
    assert opened["ended_at"] is None


def test_prometheus_answers_routings_query_as_the_stand_in_does(watched: LocalCloud) -> None:
    [sample] = eventually(lambda: ask(watched, query("gpu-work")), within_s=20)
    assert sample["metric"] == {}
    assert sample["value"][1] == "0"


def test_series_carry_cloud_monitorings_labels_and_no_others(watched: LocalCloud) -> None:
    [sample] = eventually(
        lambda: ask(watched, 'pubsub_googleapis_com:subscription_num_undelivered_messages{subscription_id="gpu-work"}'),
        within_s=20,
    )
    assert set(sample["metric"]) == {"__name__", "subscription_id"}
    swept = eventually(lambda: ask(watched, "logging_googleapis_com:user_sweep_done"), within_s=20)
    assert swept[0]["metric"]["monitored_resource"] == "cloud_run_revision"
    assert swept[0]["metric"]["service_name"] == "dispatch"


def test_relays_own_alert_takes_another_way(watched: LocalCloud) -> None:
    url = f"{watched.endpoints.url(watched.endpoints.alertmanager)}/api/v2/status"
    routes = httpx.get(url, trust_env=False).json()["config"]["original"]
    assert 'alertname="AlertRelayDown"' in routes


def ask(cloud: LocalCloud, query: str) -> list[dict[str, Any]]:
    url = f"{cloud.endpoints.url(cloud.endpoints.metrics)}/api/v1/query"
    answer = httpx.get(url, params={"query": query}, trust_env=False)
    answer.raise_for_status()
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result
