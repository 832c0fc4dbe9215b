from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.alerts import Alert, parse_alerts
from shared.errors import InvalidRequest

EVENTS = Path(__file__).parents[1] / "events"


def event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def parsed(body: Any) -> tuple[Alert, ...]:
    return parse_alerts(json.dumps(body).encode())


def incident(**changes: Any) -> dict[str, Any]:
    """The open incident, changed; a field set to ... is left out."""
    body = event("monitoring_incident_open.json")
    fields = {**body["incident"], **changes}
    return {**body, "incident": {name: value for name, value in fields.items() if value is not ...}}


def grouped(**changes: Any) -> dict[str, Any]:
    """An Alertmanager group of the firing alert alone, changed likewise."""
    body = event("alertmanager_v4.json")
    fields = {**body["alerts"][0], **changes}
    return {**body, "alerts": [{name: value for name, value in fields.items() if value is not ...}]}


def test_open_incident_of_cloud_monitoring() -> None:
    (alert,) = parsed(event("monitoring_incident_open.json"))
    assert alert == Alert(
        id="monitoring:media-hub-prod/0.nrwotmyokd9n:open",
        source="monitoring",
        title="GPU backlog",
        state="open",
        severity="critical",
        summary=(
            "Unacked messages for media-hub-prod gpu-work is above the threshold of 100.000 with a value of 137.000."
            "\n\nAre GPU executions starting? See the runbook, section *Backlog*."
        ),
        url="https://console.cloud.google.com/monitoring/alerting/alerts/0.nrwotmyokd9n"
        "?channelType=webhook&project=media-hub-prod",
        labels={
            "project_id": "media-hub-prod",
            "subscription_id": "gpu-work",
            "team": "media",
            "condition": "gpu-work backlog above 100",
        },
        started_at=datetime(2025, 11, 23, 15, 49, 54, tzinfo=UTC),
        ended_at=None,
    )


def test_closed_incident_says_when_it_ended() -> None:
    (alert,) = parsed(event("monitoring_incident_closed.json"))
    assert (alert.id, alert.state) == ("monitoring:media-hub-prod/0.nrwotmyokd9n:closed", "closed")
    assert alert.ended_at == datetime(2025, 11, 23, 16, 1, tzinfo=UTC)


def test_pubsub_channel_publishes_the_webhook_body() -> None:
    data = base64.b64decode(event("monitoring_pubsub_push.json")["message"]["data"])
    assert parse_alerts(data) == parsed(event("monitoring_incident_open.json"))


def test_alertmanager_group_is_one_alert_each() -> None:
    firing, resolved = parsed(event("alertmanager_v4.json"))
    assert firing == Alert(
        id="alertmanager:1a30ba71cca2921f@1763912994:open",
        source="alertmanager",
        title="GpuBacklog",
        state="open",
        severity="warning",
        summary=(
            "137 messages wait in gpu-work\n\nMore than 100 for 5 minutes.\n\nhttps://example.com/runbook#backlog"
        ),
        url="http://127.0.0.1:9090/graph?g0.expr=backlog+%3E+100&g0.tab=1",
        labels={"alertname": "GpuBacklog", "severity": "warning", "subscription_id": "gpu-work"},
        started_at=datetime(2025, 11, 23, 15, 49, 54, 828134, tzinfo=UTC),
        ended_at=None,
    )
    assert (resolved.id, resolved.state) == ("alertmanager:e94c7db83b1ffa07@1763904609:closed", "closed")
    assert (resolved.severity, resolved.url) == ("critical", None)
    assert resolved.ended_at == datetime(2025, 11, 23, 13, 52, 9, 828000, tzinfo=UTC)


def test_empty_alertmanager_group_is_no_alert() -> None:
    assert parsed({"alerts": [], "version": "4"}) == ()


def test_hub_alert_is_read_back_as_it_was_published() -> None:
    data = base64.b64decode(event("hub_alert_push.json")["message"]["data"])
    (alert,) = parse_alerts(data)
    assert alert.source == "hub"
    assert parse_alerts(alert.model_dump_json().encode()) == (alert,)


def test_test_connection_of_the_console_is_an_alert() -> None:
    body = incident(
        incident_id="12345",
        scoping_project_id="12345",
        state="OPEN",
        started_at=0,
        ended_at=0,
        documentation="Test documentation",
        severity=...,
        url="http://www.example.com",
    )
    (alert,) = parsed({**body, "version": "test"})
    assert (alert.id, alert.state, alert.severity) == ("monitoring:12345/12345:open", "open", "warning")
    assert (alert.started_at, alert.ended_at) == (None, None)
    assert alert.summary.endswith("Test documentation")


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Critical", "critical"),
        ("Error", "critical"),
        ("Warning", "warning"),
        ("info", "info"),
        ("No severity", "warning"),
        ("whatever", "warning"),
        (None, "warning"),
        (..., "warning"),
    ],
)
def test_unknown_severity_is_a_warning(word: Any, severity: str) -> None:
    assert parsed(incident(severity=word))[0].severity == severity


@pytest.mark.parametrize(
    "same",
    [
        incident(summary="Still above the threshold, with a value of 512.", observed_value="512"),
        incident(state="acknowledged"),
        incident(state="Open", policy_name="Renamed"),
    ],
)
def test_reminder_has_the_first_notifications_id(same: dict[str, Any]) -> None:
    assert parsed(same)[0].id == parsed(incident())[0].id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (incident(), incident(state="closed")),
        (incident(), incident(incident_id="0.other")),
        (incident(), incident(scoping_project_id="other")),
        (grouped(), grouped(status="resolved")),
        (grouped(), grouped(startsAt="2025-11-23T15:49:59Z")),
        (grouped(), grouped(fingerprint="ffff")),
    ],
)
def test_another_incident_or_state_has_another_id(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert parsed(one)[0].id != parsed(other)[0].id


def test_time_zone_of_the_start_does_not_change_the_id() -> None:
    shifted = grouped(startsAt="2025-11-23T17:49:54.828134012+02:00")
    assert parsed(shifted)[0].id == parsed(grouped())[0].id


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"policy_name": None}, "title", "gpu-work backlog above 100"),
        ({"policy_name": ..., "condition_name": ...}, "title", "Cloud Monitoring incident"),
        ({"scoping_project_id": ...}, "id", "monitoring:0.nrwotmyokd9n:open"),
        ({"summary": None, "documentation": ...}, "summary", ""),
        ({"url": "javascript:alert(1)"}, "url", None),
        ({"url": "https://example.com/" + "x" * 3000}, "url", None),
        ({"url": ""}, "url", None),
        ({"state": "open", "ended_at": 1763913660}, "ended_at", None),
        (
            {"resource": {"labels": {"n": 7, "gone": None}}, "metric": None, "policy_user_labels": None},
            "labels",
            {"n": "7", "condition": "gpu-work backlog above 100"},
        ),
    ],
)
def test_what_does_not_identify_an_incident_may_be_odd(changes: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(parsed(incident(**changes))[0], field) == value


HUB = json.loads(base64.b64decode(event("hub_alert_push.json")["message"]["data"]))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"not json", []),
        (b"\xff\xfe", []),
        (b"[" * 100_000, []),
        (b"null", []),
        (b"[]", []),
        (b'"incident"', []),
        (b"{}", []),
        ({"message": {"data": ""}}, []),
        ({"incident": None}, ["incident"]),
        (incident(incident_id=...), ["incident.incident_id"]),
        (incident(incident_id="", state="gone"), ["incident.incident_id", "incident.state"]),
        (incident(state=...), ["incident.state"]),
        (incident(started_at="yesterday"), ["incident.started_at"]),
        (incident(started_at=1e300), ["incident.started_at"]),
        ({"alerts": None}, ["alerts"]),
        ({"alerts": {}}, ["alerts"]),
        (grouped(fingerprint=..., status="pending"), ["alerts.0.fingerprint", "alerts.0.status"]),
        (grouped(startsAt="0001-01-01T00:00:00Z"), ["alerts.0.startsAt"]),
        (grouped(labels=["a"]), ["alerts.0.labels"]),
        ({**HUB, "source": "monitoring"}, ["source"]),
        ({**HUB, "title": ""}, ["title"]),
        ({**HUB, "url": "ftp://example.com"}, ["url"]),
        ({**HUB, "extra": 1}, ["extra"]),
        ({**HUB, "started_at": "2025-11-23T15:49:54"}, ["started_at"]),
    ],
)
def test_what_is_no_alert_is_refused_with_its_fields(body: Any, fields: list[str]) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidRequest) as refused:
        parse_alerts(raw)
    assert [fault.field for fault in refused.value.faults] == fields


@pytest.mark.parametrize(
    "body",
    [incident(incident_id={"a": "s3cret"}), grouped(status="s3cret"), {**HUB, "state": "s3cret"}],
)
def test_refusal_repeats_nothing_of_the_content(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(body)
    told = f"{refused.value} {refused.value.faults} {refused.value.__cause__}"
    assert "s3cret" not in told
