"""Webhooks as Standard Webhooks has them: how they are signed, when they are tried again, what an answer means.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from standardwebhooks import Webhook

#: Seconds from each try that failed to the next: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h; then no more.
DELAYS_SECONDS: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0)


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` ("v1,…") of a UTF-8 body, with a "whsec_…" secret and a Unix time in seconds."""
    return Webhook(secret).sign(webhook_id, datetime.fromtimestamp(timestamp, UTC), body.decode())


def headers(secret: str, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """What proves one try: `webhook_id` stays the same over all tries, the time and so the signature do not."""
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, webhook_id, timestamp, body),
    }


def delay_after(try_number: int, retry_after: float | None = None) -> float | None:
    """Seconds from try `try_number` (1 is the first) to the next one; None when that was the last.

    A receiver's `Retry-After` may lengthen the wait, to ten hours at most, and never shortens it.
    """
    if try_number > len(DELAYS_SECONDS):
        return None
    planned = DELAYS_SECONDS[try_number - 1]
    return max(planned, min(retry_after, max(DELAYS_SECONDS))) if retry_after else planned


def is_delivered(status: int) -> bool:
    """Only 2xx is a delivery; a redirect is not."""
    return 200 <= status < 300


def is_unwanted(status: int) -> bool:
    """410 Gone: the receiver wants no more of it, so no try follows."""
    return status == HTTPStatus.GONE
