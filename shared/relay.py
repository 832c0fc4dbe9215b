"""Alerts on their way out: to n8n, and to Slack when n8n fails; each incident's state once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from pydantic import SecretStr

from shared import slack
from shared.alert_ledger import AlertLedger, Claim, Taken
from shared.alerts import Alert
from shared.errors import JobError, PermanentError, RetryableError, Unavailable

#: For one post; with the pauses, all posts for one alert end well before its claim goes stale.
TIMEOUT_SECONDS: Final = 5.0
#: Between the three tries at n8n. Slack gets one: whoever sent the alert tries again.
N8N_PAUSES_SECONDS: Final = (0.5, 1.0)

#: Between two writes to one object that storage takes: https://cloud.google.com/storage/quotas#objects
_WRITE_PAUSE_SECONDS: Final = 1.0

_HEADERS: Final = {"Content-Type": "application/json"}
_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


class PostResult(Protocol):
    @property
    def status(self) -> int: ...


class Poster(Protocol):
    """The part of the guarded HTTP client that the relay needs."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float) -> PostResult:
        """One POST, whatever its status; raises Unavailable, or a PermanentError where it will not go."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Webhook URLs, which are secrets; one that is None is not tried."""

    n8n: SecretStr | None
    slack: SecretStr | None


def relay(
    alerts: Sequence[Alert],
    *,
    sender: Poster,
    ledger: AlertLedger,
    targets: Targets,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Send each alert that has not been sent; raises Unavailable when one is still owed, after trying them all.

    The sender of a body that raised sends it whole again, and what did go out is known by its id. Without any target
    there is nothing to wait for: each alert is logged as `alert.unrouted`, and the relay returns.
    """
    route = _route(targets)
    if not route:
        for alert in alerts:
            _log.error(
                "No target for alert %r",
                alert.title,
                extra={"event": "alert.unrouted", "alert_id": alert.id, "title": alert.title},
            )
        return
    call = _Call(route, sender, ledger, wait)
    owed = [alert.id for alert in alerts if not call.settle(alert)]
    if owed:
        raise Unavailable(f"{len(owed)} of {len(alerts)} alerts are not delivered yet; send them again")


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    url: SecretStr
    body: Callable[[Alert], bytes]
    #: Before each try after the first.
    pauses: tuple[float, ...] = ()


def _route(targets: Targets) -> tuple[_Target, ...]:
    """The configured targets, in the order they are tried."""
    route = []
    if targets.n8n is not None:
        route.append(_Target("n8n", targets.n8n, lambda alert: alert.model_dump_json().encode(), N8N_PAUSES_SECONDS))
    if targets.slack is not None:
        route.append(_Target("slack", targets.slack, lambda alert: json.dumps(slack.message(alert)).encode()))
    return tuple(route)


@dataclass(slots=True)
class _Call:
    """One call of `relay`. What it finds down it does not ask again, or in a storm each alert would wait anew."""

    route: tuple[_Target, ...]
    sender: Poster
    ledger: AlertLedger
    wait: Callable[[float], None]
    down: set[str] = field(default_factory=set)

    def settle(self, alert: Alert) -> bool:
        """True when the alert is out, now or earlier."""
        if all(target.name in self.down for target in self.route):
            _note(logging.ERROR, "alert.undelivered", alert)
            return False
        claim = self._ask_ledger(alert, lambda: self.ledger.claim(alert.id))
        if claim is Taken.SENT:
            _note(logging.INFO, "alert.duplicate", alert)
            return True
        if claim is Taken.HELD:
            _note(logging.INFO, "alert.held", alert)
            return False
        sent = self._send(alert)
        if sent:
            self._ask_ledger(alert, lambda: self.ledger.mark_sent(alert.id))
        elif claim is not None:
            self._release(alert, claim)
        return sent

    def _release(self, alert: Alert, claim: Claim) -> None:
        """Whoever tries again is not to wait until the claim goes stale."""
        if self._ask_ledger(alert, lambda: self.ledger.release(claim)) is False:
            self.wait(_WRITE_PAUSE_SECONDS)
            self._ask_ledger(alert, lambda: self.ledger.release(claim))

    def _ask_ledger(self, alert: Alert, question: Callable[[], _Answer]) -> _Answer | None:
        """The ledger's answer; None without one: storage being down may be the news, so rather twice than never."""
        if "ledger" in self.down:
            return None
        try:
            return question()
        except JobError as error:
            self.down.add("ledger")
            _note(logging.WARNING, "alert.ledger_failed", alert, reason=error.reason_code)
            return None

    def _send(self, alert: Alert) -> bool:
        """True when one target took it."""
        for target in self.route:
            if target.name not in self.down and self._offer(alert, target):
                _note(logging.INFO, "alert.sent", alert, target=target.name)
                return True
        _note(logging.ERROR, "alert.undelivered", alert)
        return False

    def _offer(self, alert: Alert, target: _Target) -> bool:
        body = target.body(alert)
        is_down = False
        for pause in (0.0, *target.pauses):
            if pause:
                self.wait(pause)
            try:
                status = self.sender.post(
                    target.url.get_secret_value(), body, _HEADERS, timeout_seconds=TIMEOUT_SECONDS
                ).status
            except RetryableError as error:
                is_down, reason = True, error.reason_code
            except PermanentError as error:
                _note(logging.WARNING, "alert.target_failed", alert, target=target.name, reason=error.reason_code)
                return False
            else:
                if 200 <= status < 300:
                    return True
                # Any other refusal may be about this alert alone, and says nothing of the next one.
                is_down, reason = status == 429 or status >= 500, str(status)
            _note(logging.WARNING, "alert.target_failed", alert, target=target.name, reason=reason)
        if is_down:
            self.down.add(target.name)
        return False


def _note(level: int, event: str, alert: Alert, **more: str) -> None:
    _log.log(level, "%s %s", event, alert.id, extra={"event": event, "alert_id": alert.id, **more})
