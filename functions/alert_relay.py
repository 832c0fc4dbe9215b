"""Alerts in, from whoever raises them; out to n8n, and to Slack when n8n fails.

Trigger  POST: the push subscription on `alerts` (Cloud Monitoring's Pub/Sub channel and this hub itself, by OIDC), or
         Cloud Monitoring's webhook and Alertmanager (by ALERT_TOKEN: bearer, basic auth's password, or `?token=`).
Does     normalises, de-duplicates, posts (shared.relay).
Acks     (204) when every alert in it is out; and a push that is no alert, logged as `alert.malformed`, since sending
         it again cannot mend it.
Raises   400, 401, 413 to direct callers; 503 when an alert is still owed, and whoever sent it sends it again.

The token in a URL ends up in request logs: prefer the other two.
"""

from __future__ import annotations

import hmac
import json
import logging
from http import HTTPStatus
from typing import Final

import functions_framework
from flask import Request, Response
from pydantic import SecretStr
from pydantic_core import from_json

from shared import events
from shared.alert_ledger import AlertLedger
from shared.alerts import Alert, parse_alerts
from shared.errors import InvalidRequest, JobError, RetryableError, TooLarge, Unauthorized
from shared.relay import Targets, relay
from shared.services import Services, services

_MAX_BODY_BYTES: Final = 1_000_000
_RETRY_AFTER_SECONDS: Final = 10
#: Cloud Monitoring sends basic credentials only in answer to this challenge.
_CHALLENGE: Final = 'Basic realm="alerts", charset="UTF-8"'

_log = logging.getLogger(__name__)


@functions_framework.http
def alert_relay(request: Request) -> Response:
    try:
        _handle(request, services())
    except JobError as error:
        return _problem(error)
    return Response(status=HTTPStatus.NO_CONTENT)


def _handle(request: Request, services: Services) -> None:
    settings = services.settings
    is_direct = _has_token(request, settings.alert_token)
    if not is_direct:
        services.callers.verify(request.headers.get("Authorization"))
    body = _body(request)
    relay(
        parse_alerts(body) if is_direct else _pushed_alerts(body),
        sender=services.http,
        ledger=AlertLedger(services.objects, settings.state_bucket),
        targets=Targets(n8n=settings.n8n_alert_url, slack=settings.slack_webhook_url),
    )


def _has_token(request: Request, token: SecretStr | None) -> bool:
    if token is None:
        return False
    expected = token.get_secret_value().encode()
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    basic = request.authorization
    presented = (
        credentials if scheme.lower() == "bearer" else None,
        basic.password if basic is not None and basic.type == "basic" else None,
        request.args.get("token"),
    )
    return any([hmac.compare_digest(expected, text.encode()) for text in presented if text is not None])


def _body(request: Request) -> bytes:
    declared = request.content_length or 0
    body = request.get_data() if declared <= _MAX_BODY_BYTES else b""
    if max(declared, len(body)) > _MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {_MAX_BODY_BYTES} bytes")
    return body


def _pushed_alerts(body: bytes) -> tuple[Alert, ...]:
    message_id = None
    try:
        push = events.push(_json(body))
        message_id = push.message_id
        return parse_alerts(push.data)
    except InvalidRequest as error:
        _log.error(
            "A push is no alert and is dropped: %s",
            error.message,
            extra={"event": "alert.malformed", "message_id": message_id},
        )
        return ()


def _json(body: bytes) -> object:
    try:
        return from_json(body)
    except ValueError as cause:
        raise InvalidRequest("the body is not JSON") from cause


def _problem(error: JobError) -> Response:
    """The error as RFC 9457 has it (https://www.rfc-editor.org/rfc/rfc9457)."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.reason_code,
    }
    if isinstance(error, InvalidRequest) and error.faults:
        problem["errors"] = [{"field": fault.field, "detail": fault.detail} for fault in error.faults]
    response = Response(json.dumps(problem), error.status, content_type="application/problem+json")
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = _CHALLENGE
    if isinstance(error, RetryableError):
        response.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return response
