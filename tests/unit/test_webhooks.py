from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared import webhooks

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY = '{"job_id": "j1", "title": "Grüße"}'.encode()


def test_the_signature_is_what_the_specification_says() -> None:
    digest = hmac.new(KEY, b"msg_1.1700000000." + BODY, hashlib.sha256).digest()

    assert webhooks.sign(SECRET, "msg_1", 1_700_000_000, BODY) == "v1," + base64.b64encode(digest).decode()


def test_a_receiver_with_the_standard_library_accepts_the_headers() -> None:
    headers = webhooks.headers(SECRET, "msg_1", int(time.time()), BODY)

    assert sorted(headers) == ["webhook-id", "webhook-signature", "webhook-timestamp"]
    assert Webhook(SECRET).verify(BODY, headers) == {"job_id": "j1", "title": "Grüße"}


@pytest.mark.parametrize(
    ("secret", "age_seconds", "body"),
    [
        ("whsec_" + base64.b64encode(bytes(24)).decode(), 0, BODY),
        (SECRET, 301, BODY),
        (SECRET, 0, BODY + b" "),
    ],
    ids=["other secret", "five minutes old", "other body"],
)
def test_a_receiver_refuses_another_secret_an_old_time_and_a_changed_body(
    secret: str, age_seconds: int, body: bytes
) -> None:
    headers = webhooks.headers(secret, "msg_1", int(time.time()) - age_seconds, BODY)

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


def test_each_try_has_the_same_id_and_its_own_signature() -> None:
    first, second = (webhooks.headers(SECRET, "msg_1", moment, BODY) for moment in (1_700_000_000, 1_700_000_005))

    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_eight_tries_are_spread_over_a_day_and_then_it_ends() -> None:
    delays = [webhooks.delay_after(number) for number in range(1, 10)]

    assert delays == [5, 300, 1800, 7200, 18_000, 36_000, 36_000, None, None]


@pytest.mark.parametrize(
    ("try_number", "retry_after", "delay"), [(1, 60, 60), (2, 60, 300), (1, 10**9, 36_000), (1, 0, 5), (8, 60, None)]
)
def test_retry_after_lengthens_the_wait_within_bounds(try_number: int, retry_after: float, delay: float | None) -> None:
    assert webhooks.delay_after(try_number, retry_after) == delay


@pytest.mark.parametrize(
    ("status", "delivered", "unwanted"),
    [
        (200, True, False),
        (202, True, False),
        (299, True, False),
        (301, False, False),
        (404, False, False),
        (410, False, True),
        (429, False, False),
        (500, False, False),
    ],
)
def test_an_answer_is_a_delivery_a_refusal_or_a_reason_to_try_again(
    status: int, delivered: bool, unwanted: bool
) -> None:
    assert (webhooks.is_delivered(status), webhooks.is_unwanted(status)) == (delivered, unwanted)
