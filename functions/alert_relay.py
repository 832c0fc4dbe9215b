"""Trigger: the push subscription on `alerts` (Cloud Monitoring's Pub/Sub channel and this hub, by OIDC); HTTPS from
Cloud Monitoring's webhook and Alertmanager, with ALERT_TOKEN as bearer, as basic auth's password, or as `?token=`.
Does: normalises, de-duplicates, posts to n8n, to Slack when n8n fails.
Acks when: every alert in it is out; or a push is no alert, since sending that again cannot mend it.
Raises when: never; 503 while an alert is still owed, and whoever sent it sends it again.

A token in a URL ends up in request logs: prefer the other two.
"""

from __future__ import annotations

import hmac
import logging
from typing import Final

import flask
import functions_framework
from pydantic import SecretStr

from shared.alert_ledger import AlertLedger
from shared.alerts import Alert, parse_alerts
from shared.errors import InvalidRequest, JobError, TooLarge, Unauthorized
from shared.events import push
from shared.problems import problem
from shared.relay import Targets, relay
from shared.request_body import read_body
from shared.services import Services, services

#: Cloud Monitoring sends basic credentials only in answer to this challenge.
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="alerts", charset="UTF-8"'}

_log = logging.getLogger(__name__)


@functions_framework.http
def alert_relay(request: flask.Request) -> flask.typing.ResponseReturnValue:
    everything = services()
    settings = everything.settings
    try:
        relay(
            _alerts(request, everything),
            sender=everything.http,
            ledger=AlertLedger(everything.objects, settings.state_bucket),
            targets=Targets(n8n=settings.n8n_alert_url, slack=settings.slack_webhook_url),
        )
    except Unauthorized as error:
        return problem(error, headers=_CHALLENGE)
    except JobError as error:
        return problem(error)
    return "", 204


def _alerts(request: flask.Request, everything: Services) -> tuple[Alert, ...]:
    """What a caller with the token, or else one of our own accounts, brings; nothing is read before that is known."""
    if _has_token(request, everything.settings.alert_token):
        return parse_alerts(read_body(request))
    everything.callers.verify(request.headers.get("Authorization"))
    return _pushed_alerts(request)


def _has_token(request: flask.Request, token: SecretStr | None) -> bool:
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


def _pushed_alerts(request: flask.Request) -> tuple[Alert, ...]:
    message_id = None
    try:
        delivery = push(read_body(request))
        message_id = delivery.message_id
        return parse_alerts(delivery.data)
    except (InvalidRequest, TooLarge) as error:
        _log.error(
            "A push is no alert and is dropped: %s",
            error.message,
            extra={"event": "alert.malformed", "message_id": message_id},
        )
        return ()
