"""An alert in one form, whoever raised it, and the parsers of the three forms it arrives in.

Cloud Monitoring, webhook 1.2   {"incident": {…}}; its Pub/Sub channel publishes the same JSON
                                https://cloud.google.com/monitoring/support/notification-options#webhooks
Alertmanager, webhook 4         {"alerts": […]}
                                https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
this hub's own                  the Alert model's JSON, published on the topic `alerts`

The parsers insist on what identifies an alert and forgive the rest: an alert with an odd label is still an alert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import from_json

from shared.errors import Fault, InvalidRequest

Severity = Literal["critical", "warning", "info"]
State = Literal["open", "closed"]
_Model = TypeVar("_Model", bound=BaseModel)

_MAX_LINK_CHARACTERS: Final = 3000
_LINK: Final = r"^https?://\S+$"
#: Cloud Monitoring's and Alertmanager's customary words; whatever else they say, somebody wanted to be warned.
_SEVERITIES: Final[Mapping[str, Severity]] = {
    "critical": "critical",
    "error": "critical",
    "page": "critical",
    "warning": "warning",
    "info": "info",
}


class Alert(BaseModel):
    """One incident in one state, as n8n receives it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: The same for every notification of one incident in one state: what de-duplication goes by.
    id: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    source: Literal["monitoring", "alertmanager", "hub"]
    title: Annotated[str, StringConstraints(min_length=1)]
    state: State
    severity: Severity
    summary: str
    url: Annotated[str, StringConstraints(pattern=_LINK, max_length=_MAX_LINK_CHARACTERS)] | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None


def _texts(value: Any) -> Any:
    if value is None:
        return {}
    return {key: str(text) for key, text in value.items() if text is not None} if isinstance(value, dict) else value


def _moment(value: Any) -> Any:
    """Both senders have a zero for "never": 0 in Cloud Monitoring's test, year 1 in Alertmanager's Go."""
    return None if value in (0, "") or str(value).startswith("0001-") else value


def _content(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value


_Texts = Annotated[dict[str, str], BeforeValidator(_texts), Field(default_factory=dict)]
_Moment = Annotated[AwareDatetime | None, BeforeValidator(_moment)]
_Id = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Received(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True, hide_input_in_errors=True)


class _Labelled(_Received):
    labels: _Texts


class _Incident(_Received):
    incident_id: _Id
    state: Annotated[Literal["open", "acknowledged", "closed"], BeforeValidator(lambda value: str(value).lower())]
    scoping_project_id: Annotated[str, StringConstraints(max_length=400)] | None = None
    policy_name: str | None = None
    condition_name: str | None = None
    severity: str | None = None
    summary: str | None = None
    #: An object with `content`; a bare string in the console's "test connection".
    documentation: Annotated[str | None, BeforeValidator(_content)] = None
    url: str | None = None
    resource: _Labelled | None = None
    metric: _Labelled | None = None
    policy_user_labels: _Texts
    #: Seconds since 1970.
    started_at: _Moment = None
    ended_at: _Moment = None


class _Notification(_Received):
    incident: _Incident


class _GroupedAlert(_Received):
    fingerprint: _Id
    status: Literal["firing", "resolved"]
    labels: _Texts
    annotations: _Texts
    startsAt: Annotated[AwareDatetime, BeforeValidator(_moment)]
    endsAt: _Moment = None
    generatorURL: str | None = None


class _Group(_Received):
    alerts: tuple[_GroupedAlert, ...]


def parse_alerts(body: bytes) -> tuple[Alert, ...]:
    """Every alert in one message or request, told apart by shape; raises InvalidRequest."""
    try:
        decoded = from_json(body)
    except ValueError as cause:
        raise InvalidRequest("the body is not JSON") from cause
    match decoded:
        case {"incident": _}:
            return (from_monitoring(decoded),)
        case {"alerts": _}:
            return from_alertmanager(decoded)
        case {"source": _}:
            return (from_hub(decoded),)
    raise InvalidRequest("the body is no Cloud Monitoring incident, no Alertmanager group and no alert of this hub")


def from_monitoring(body: object) -> Alert:
    """One incident of Cloud Monitoring; raises InvalidRequest.

    An acknowledged incident counts as open, and so a reminder about an open one has the id of the first notification.
    """
    incident = _validated(_Notification, body, "a Cloud Monitoring incident").incident
    state: State = "closed" if incident.state == "closed" else "open"
    scope = f"{incident.scoping_project_id}/" if incident.scoping_project_id else ""
    return Alert(
        id=f"monitoring:{scope}{incident.incident_id}:{state}",
        source="monitoring",
        title=incident.policy_name or incident.condition_name or "Cloud Monitoring incident",
        state=state,
        severity=_severity(incident.severity),
        summary=_paragraphs(incident.summary, incident.documentation),
        url=_link(incident.url),
        labels={
            **(incident.resource.labels if incident.resource else {}),
            **(incident.metric.labels if incident.metric else {}),
            **incident.policy_user_labels,
            **({"condition": incident.condition_name} if incident.condition_name else {}),
        },
        started_at=incident.started_at,
        ended_at=incident.ended_at if state == "closed" else None,
    )


def from_alertmanager(body: object) -> tuple[Alert, ...]:
    """The alerts of one Alertmanager group; raises InvalidRequest.

    An alert is its labels (the fingerprint) and when it began to fire: firing anew later is a new incident. What
    `max_alerts` cut off is not in the body and cannot be told; leave that setting at 0.
    """
    return tuple(_from_group(alert) for alert in _validated(_Group, body, "an Alertmanager group").alerts)


def from_hub(body: object) -> Alert:
    """One of this hub's own alerts; raises InvalidRequest."""
    alert = _validated(Alert, body, "an alert of this hub")
    if alert.source != "hub":
        raise InvalidRequest("not an alert of this hub", (Fault("source", "Input should be 'hub'"),))
    return alert


def _from_group(alert: _GroupedAlert) -> Alert:
    state: State = "open" if alert.status == "firing" else "closed"
    notes = alert.annotations
    return Alert(
        id=f"alertmanager:{alert.fingerprint}@{int(alert.startsAt.timestamp())}:{state}",
        source="alertmanager",
        title=alert.labels.get("alertname") or "Alertmanager alert",
        state=state,
        severity=_severity(alert.labels.get("severity")),
        summary=_paragraphs(notes.get("summary"), notes.get("description"), notes.get("runbook_url")),
        url=_link(alert.generatorURL),
        labels=alert.labels,
        started_at=alert.startsAt,
        ended_at=alert.endsAt if state == "closed" else None,
    )


def _severity(word: str | None) -> Severity:
    return _SEVERITIES.get((word or "").lower(), "warning")


def _paragraphs(*texts: str | None) -> str:
    return "\n\n".join(text for text in texts if text)


def _link(url: str | None) -> str | None:
    return url if url and len(url) <= _MAX_LINK_CHARACTERS and re.fullmatch(_LINK, url) else None


def _validated(model: type[_Model], body: object, what: str) -> _Model:
    try:
        return model.model_validate(body)
    except ValidationError as cause:
        faults = (
            Fault(".".join(str(part) for part in error["loc"]), error["msg"])
            for error in cause.errors(include_input=False, include_url=False, include_context=False)
        )
        raise InvalidRequest(f"not {what}", tuple(faults)) from cause
