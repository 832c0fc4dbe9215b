"""What the workflows compute, run by Node.js: who is let in, what is sent, what is believed, what people read."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks import Webhook

from shared import webhooks
from shared.alerts import Alert
from shared.api import JobBody
from shared.job import State
from tests.n8n.code import evaluate, needs_node, run
from tests.n8n.workflows import node, shipped

pytestmark = needs_node

SECRET = "whsec_" + base64.b64encode(bytes(range(200, 232))).decode()
LONG_SECRET = "whsec_" + base64.b64encode(bytes(range(100))).decode()
SUBMITTED = {"body": {"job_id": "5e1f"}}
BODY = json.dumps({"type": "job.succeeded", "job_id": "5e1f", "message": "Grüße ✓"}, ensure_ascii=False).encode()
ALERT = Alert(
    id="hub:1:open",
    source="hub",
    title="Dead letters <now>",
    state="open",
    severity="critical",
    summary="Somebody & <!channel>",
    labels={"job_id": "5e1f"},
)


def verdict(headers: dict[str, str] | None, body: bytes | None, *, secret: str = SECRET) -> dict[str, Any]:
    """What the Code node says of a call; without headers, nobody called."""
    item: dict[str, Any] = {"json": {} if headers is None else {"headers": headers, "query": {}}}
    if body is not None:
        item["binary"] = {"data": {"data": base64.b64encode(body).decode()}}
    code = node(shipped("submit-and-wait"), "Verify the webhook")["parameters"]["jsCode"]
    nodes = {"Settings": {"webhook_secret": secret}, "Submit": SUBMITTED}
    ((answered),) = run(code, item=item, nodes=nodes)
    answer: dict[str, Any] = answered["json"]
    return answer


def signed(body: bytes = BODY, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    return webhooks.headers(secret, "5e1f-1", int(time.time()) - age, body)


@pytest.mark.parametrize("secret", [SECRET, LONG_SECRET, "whsec_c2hvcnQ="])
@pytest.mark.parametrize(
    "body", [BODY, BODY[:-1] + b" " * 61 + b"}", BODY[:-1] + b' , "x": "' + b"y" * 200_000 + b'"}']
)
def test_what_the_hub_signed_is_believed(secret: str, body: bytes) -> None:
    headers = signed(body, secret=secret)
    assert Webhook(secret).verify(body, headers)
    assert verdict(headers, body, secret=secret) == {"verdict": "verified", "reason": ""}


def test_one_right_signature_of_several_is_enough() -> None:
    headers = signed()
    other = signed(secret=LONG_SECRET)["webhook-signature"]
    headers["webhook-signature"] = f"v1a,abc {other} {headers['webhook-signature']}"
    assert verdict(headers, BODY)["verdict"] == "verified"


ELSE = BODY.replace(b"5e1f", b"5e2f")


@pytest.mark.parametrize(
    ("call", "body", "reason"),
    [
        # Signed when the test runs: a suite may take longer than a signature is believed.
        (lambda: signed(secret=LONG_SECRET), BODY, "its signature is wrong"),
        (signed, BODY.replace(b"succeeded", b"cancelled"), "its signature is wrong"),
        (signed, json.dumps(json.loads(BODY)).encode(), "its signature is wrong"),
        (lambda: signed() | {"webhook-id": "5e1f-2"}, BODY, "its signature is wrong"),
        (lambda: signed() | {"webhook-signature": "v1,"}, BODY, "its signature is wrong"),
        (lambda: signed() | {"webhook-signature": signed()["webhook-signature"][3:]}, BODY, "its signature is wrong"),
        (lambda: signed(age=310), BODY, "its timestamp is not of the last five minutes"),
        (lambda: signed(age=-900), BODY, "its timestamp is not of the last five minutes"),
        (lambda: signed() | {"webhook-timestamp": "now"}, BODY, "it is not signed"),
        (dict, BODY, "it is not signed"),
        (signed, None, "it has no body"),
        (lambda: signed(ELSE), ELSE, "it is about another job"),
    ],
)
def test_what_the_hub_did_not_sign_for_this_job_is_refused(
    call: Callable[[], dict[str, str]], body: bytes | None, reason: str
) -> None:
    assert verdict(call(), body) == {"verdict": "refused", "reason": reason}


def test_wait_that_is_over_is_told_from_a_call() -> None:
    assert verdict(None, None)["verdict"] == "silent"


def test_without_a_secret_nothing_is_believed() -> None:
    with pytest.raises(AssertionError, match="webhook_secret"):
        verdict(signed(), BODY, secret="")


def condition(workflow: str, name: str) -> str:
    (only,) = node(shipped(workflow), name)["parameters"]["conditions"]["conditions"]
    return str(only["leftValue"])


@pytest.mark.parametrize(
    ("settings_token", "query", "body", "is_ours"),
    [
        ("t0ken", {"token": "t0ken"}, {"id": "a"}, True),
        ("t0ken", {"token": "other"}, {"id": "a"}, False),
        ("t0ken", {}, {"id": "a"}, False),
        ("t0ken", {"token": ["t0ken", "t0ken"]}, {"id": "a"}, False),
        ("t0ken", {"token": "t0ken"}, {}, False),
        ("", {"token": ""}, {"id": "a"}, False),
        ("", {}, {"id": "a"}, False),
    ],
)
def test_alert_needs_the_token_and_an_empty_one_lets_nobody_in(
    settings_token: str, query: dict[str, Any], body: dict[str, str], is_ours: bool
) -> None:
    item = {"token": settings_token, "query": query, "body": body}
    assert evaluate(condition("alerts", "From our hub?"), {"$json": item}) is is_ours


@pytest.mark.parametrize(
    ("nodes", "settings_token", "headers", "may"),
    [
        ({"Try it": {}}, "", None, True),
        ({}, "t0ken", {"x-token": "t0ken"}, True),
        ({}, "t0ken", {"x-token": "other"}, False),
        ({}, "t0ken", {}, False),
        ({}, "", {"x-token": ""}, False),
        ({}, "", {}, False),
    ],
)
def test_caller_needs_the_token_and_people_at_the_editor_do_not(
    nodes: dict[str, Any], settings_token: str, headers: dict[str, str] | None, may: bool
) -> None:
    item = {"token": settings_token, **({} if headers is None else {"headers": headers})}
    assert evaluate(condition("submit-and-wait", "May start?"), {"$json": item}, nodes=nodes) is may


def message(alert: Alert) -> str:
    fields = node(shipped("alerts"), "Message")["parameters"]["assignments"]["assignments"]
    text: str = evaluate(fields[0]["value"], {"$json": {"body": alert.model_dump(mode="json")}})
    return text


def test_alert_is_told_in_full_and_calls_nobody_by_accident() -> None:
    assert message(ALERT).split("\n\n") == [
        "🔴 CRITICAL: Dead letters &lt;now&gt;",
        "Somebody &amp; &lt;!channel&gt;",
        "• job_id: 5e1f",
    ]


@pytest.mark.parametrize(
    ("changes", "beginning"),
    [
        ({"severity": "warning"}, "🟠 WARNING"),
        ({"severity": "info"}, "🔵 INFO"),
        ({"state": "closed"}, "✅ RESOLVED"),
    ],
)
def test_alert_begins_with_how_bad_it_is(changes: dict[str, str], beginning: str) -> None:
    assert message(ALERT.model_copy(update=changes)).startswith(f"{beginning}: ")


@pytest.mark.parametrize(
    ("wait_seconds", "webhook_url"), [(0, "https://n8n.example.com/webhook-waiting/1"), (30, None)]
)
def test_what_is_submitted_is_a_body_the_api_takes(wait_seconds: int, webhook_url: str | None) -> None:
    item = {
        "source": "gs://bucket/talk.mp4",
        "operations": ["probe", {"name": "transcribe", "language": "en"}],
        "id": "7",
        "wait_seconds": wait_seconds,
    }
    execution = {"resumeUrl": "https://n8n.example.com/webhook-waiting/1"}
    written = evaluate(
        node(shipped("submit-and-wait"), "Submit")["parameters"]["jsonBody"], {"$json": item, "$execution": execution}
    )
    body = JobBody.model_validate_json(written)
    assert (body.source, body.id, body.webhook_url) == (item["source"], "7", webhook_url)


@pytest.mark.parametrize("state", State)
def test_workflow_knows_every_terminal_state(state: State) -> None:
    for name in ("What now?", "Ended now?"):
        parameters = node(shipped("submit-and-wait"), name)["parameters"]
        holder = parameters["rules"]["values"][0] if "rules" in parameters else parameters
        (ended,) = holder["conditions"]["conditions"]
        assert evaluate(ended["leftValue"], {"$json": {"body": {"state": state}}}) is state.is_terminal
