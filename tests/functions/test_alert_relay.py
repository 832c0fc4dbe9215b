"""`alert_relay` as functions-framework serves it, posting to real receivers on loopback."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from flask.testing import FlaskClient

from shared.alert_ledger import CLAIM_SECONDS
from shared.errors import Unauthorized
from shared.fetch import FetchPolicy, GuardedClient
from shared.services import Services, use
from shared.settings import parse
from tests.fakes.loopback import Receiver, receiving
from tests.fakes.memory_objects import MemoryObjects

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "tests" / "events"
TOKEN = "alert-t0ken"
PUSH = {"Authorization": "Bearer push-identity"}
DIRECT = {"Authorization": f"Bearer {TOKEN}"}
ENVIRONMENT = {
    "PROJECT": "media-hub-test",
    "REGION": "europe-west1",
    "GPU_REGION": "europe-west1",
    "UPLOADS_BUCKET": "uploads",
    "RESULTS_BUCKET": "results",
    "STATE_BUCKET": "state",
    "INGEST_URL": "https://ingest.example.com",
    "DISPATCH_URL": "https://dispatch.example.com",
    "DELIVER_URL": "https://deliver.example.com",
    "INVOKER_ACCOUNTS": "invoker@media-hub-test.iam.gserviceaccount.com",
    "AUDIENCES": "https://alert-relay.test",
    "TASKS_ACCOUNT": "invoker@media-hub-test.iam.gserviceaccount.com",
    "WEBHOOK_SECRET": "whsec_c2VjcmV0",
}


class PushIdentity:
    """Callers that know one token."""

    def verify(self, authorization: str | None) -> None:
        if authorization != PUSH["Authorization"]:
            raise Unauthorized("this endpoint takes calls with an OIDC bearer token only")


@pytest.fixture
def n8n() -> Iterator[Receiver]:
    with receiving("/webhook/n8n-s3cret") as receiver:
        yield receiver


@pytest.fixture
def slack() -> Iterator[Receiver]:
    with receiving("/services/slack-s3cret") as receiver:
        yield receiver


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@contextmanager
def serving(objects: MemoryObjects, **environment: str) -> Iterator[FlaskClient]:
    """The function's test client, with these settings besides the usual ones."""
    unused: Any = ["store", "slots", "topics", "queues", "executions", "backlog", "work_backlog"]
    services = Services(
        settings=parse({**ENVIRONMENT, **environment}),
        objects=objects,
        callers=PushIdentity(),
        http=GuardedClient(FetchPolicy(allow_loopback=True)),
        **dict.fromkeys(unused),
    )
    with use(services):
        app = functions_framework.create_app("alert_relay", str(ROOT / "functions" / "alert_relay.py"), "http")
        yield app.test_client()


@pytest.fixture
def client(objects: MemoryObjects, n8n: Receiver, slack: Receiver) -> Iterator[FlaskClient]:
    with serving(objects, ALERT_TOKEN=TOKEN, N8N_ALERT_URL=n8n.url, SLACK_WEBHOOK_URL=slack.url) as client:
        yield client


def event(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def pushed(data: bytes) -> bytes:
    message = {"data": base64.b64encode(data).decode(), "messageId": "1"}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/alerts-sub"}).encode()


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"monitoring:{password}".encode()).decode()}


INCIDENT = "monitoring:media-hub-prod/0.nrwotmyokd9n:open"


@pytest.mark.parametrize(
    ("file", "headers", "ids"),
    [
        ("monitoring_incident_open.json", DIRECT, [INCIDENT]),
        ("monitoring_incident_closed.json", DIRECT, [INCIDENT.replace("open", "closed")]),
        ("monitoring_pubsub_push.json", PUSH, [INCIDENT]),
        (
            "alertmanager_v4.json",
            DIRECT,
            ["alertmanager:1a30ba71cca2921f@1763912994:open", "alertmanager:e94c7db83b1ffa07@1763904609:closed"],
        ),
        ("hub_alert_push.json", PUSH, ["hub:dead-letter:5b2f6c0e9d7a41c38e0f1a2b3c4d5e6f:1"]),
    ],
)
def test_every_sender_reaches_n8n(
    client: FlaskClient, n8n: Receiver, slack: Receiver, file: str, headers: dict[str, str], ids: list[str]
) -> None:
    answer = client.post("/", data=event(file), headers=headers)
    assert (answer.status_code, answer.data) == (204, b"")
    assert [body["id"] for body in n8n.bodies] == ids
    assert slack.bodies == []


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", DIRECT), ("", {"Authorization": f"bearer {TOKEN}"}), ("", basic(TOKEN)), (f"?token={TOKEN}", {})],
)
def test_token_may_come_in_three_ways(client: FlaskClient, n8n: Receiver, query: str, headers: dict[str, str]) -> None:
    answer = client.post(f"/{query}", data=event("monitoring_incident_open.json"), headers=headers)
    assert answer.status_code == 204
    assert len(n8n.bodies) == 1


def test_incident_that_comes_by_webhook_and_by_pubsub_goes_out_once(client: FlaskClient, n8n: Receiver) -> None:
    for _ in range(2):
        client.post("/", data=event("monitoring_incident_open.json"), headers=DIRECT)
        answer = client.post("/", data=event("monitoring_pubsub_push.json"), headers=PUSH)
        assert answer.status_code == 204
    assert [body["id"] for body in n8n.bodies] == [INCIDENT]


@pytest.mark.parametrize("fault", [500, 404, "gone"])
def test_slack_gets_what_n8n_does_not_take(
    objects: MemoryObjects, n8n: Receiver, slack: Receiver, fault: int | str
) -> None:
    with receiving("/") as closed:
        gone = closed.url
    n8n.status = fault if isinstance(fault, int) else 200
    url = gone if fault == "gone" else n8n.url
    with serving(objects, ALERT_TOKEN=TOKEN, N8N_ALERT_URL=url, SLACK_WEBHOOK_URL=slack.url) as client:
        answer = client.post("/", data=event("hub_alert_push.json"), headers=PUSH)
    assert answer.status_code == 204
    assert len(n8n.bodies) == (3 if isinstance(fault, int) else 0)
    (message,) = slack.bodies
    assert message["text"] == "CRITICAL: Job dead-lettered"
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "context"]


@pytest.mark.parametrize(
    ("file", "headers"), [("monitoring_incident_open.json", DIRECT), ("monitoring_pubsub_push.json", PUSH)]
)
def test_with_both_down_the_sender_is_told_to_try_again(
    client: FlaskClient, objects: MemoryObjects, n8n: Receiver, slack: Receiver, file: str, headers: dict[str, str]
) -> None:
    n8n.status = slack.status = 500
    answer = client.post("/", data=event(file), headers=headers)
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    problem = answer.json or {}
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert (problem["status"], problem["code"]) == (503, "unavailable")
    n8n.status = 200
    n8n.bodies.clear()
    objects.advance(CLAIM_SECONDS + 1)
    assert client.post("/", data=event(file), headers=headers).status_code == 204
    assert [body["id"] for body in n8n.bodies] == [INCIDENT]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("", {"Authorization": "Bearer"}),
        ("", {"Authorization": "Bearer wrong"}),
        ("", {"Authorization": f"Bearer {TOKEN}x"}),
        ("", {"Authorization": f"Token {TOKEN}"}),
        ("", {"Authorization": "Basic !!!"}),
        ("", basic("wrong")),
        ("", basic("wr\u00f6ng")),
        ("?token=", {}),
        ("?token=wr%C3%B6ng", {}),
    ],
)
@pytest.mark.parametrize("body", [event("monitoring_incident_open.json"), event("hub_alert_push.json"), b"junk"])
def test_without_the_token_or_our_identity_nothing_is_read(
    client: FlaskClient, n8n: Receiver, query: str, headers: dict[str, str], body: bytes
) -> None:
    answer = client.post(f"/{query}", data=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.json is not None
    assert answer.json["code"] == "unauthorized"
    assert n8n.bodies == []


@pytest.mark.parametrize("presented", ["", "None", TOKEN])
def test_without_a_configured_token_no_direct_call_is_taken(
    objects: MemoryObjects, n8n: Receiver, presented: str
) -> None:
    with serving(objects, N8N_ALERT_URL=n8n.url) as client:
        for path, headers in ((f"/?token={presented}", {}), ("/", basic(presented))):
            answer = client.post(path, data=event("monitoring_incident_open.json"), headers=headers)
            assert answer.status_code == 401
    assert n8n.bodies == []


def test_direct_caller_learns_what_is_wrong_with_the_body(client: FlaskClient) -> None:
    answer = client.post("/", data=b'{"incident": {"state": "gone"}}', headers=DIRECT)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["code"] == "invalid_request"
    assert [fault["field"] for fault in answer.json["errors"]] == ["incident.incident_id", "incident.state"]


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", event("hub_alert_push.json")])
def test_direct_call_that_is_no_alert_is_refused(client: FlaskClient, n8n: Receiver, body: bytes) -> None:
    answer = client.post("/", data=body, headers=DIRECT)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert n8n.bodies == []


@pytest.mark.parametrize(
    "body",
    [
        b"junk s3cret",
        b"[]",
        b'{"message": "s3cret"}',
        b'{"message": {"data": "%%%", "messageId": "1"}}',
        b'{"message": {"messageId": "1"}}',
        pushed(b"s3cret"),
        pushed(b'{"s3cret": 1}'),
        pushed(b'{"incident": {"incident_id": "s3cret", "state": "s3cret"}}'),
        b"s3cret" * 200_000,
    ],
    ids=lambda body: repr(body)[:40],
)
def test_push_that_is_no_alert_is_acknowledged_and_logged_without_its_content(
    client: FlaskClient, n8n: Receiver, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/", data=body, headers=PUSH)
    assert answer.status_code == 204
    (line,) = [line for line in caplog.records if getattr(line, "event", None) == "alert.malformed"]
    assert line.levelno == logging.ERROR
    assert line.exc_info is None
    assert "s3cret" not in str(vars(line)) + line.getMessage()
    assert n8n.bodies == []


@pytest.mark.parametrize(("size", "status"), [(1_000_000, 400), (1_000_001, 413)])
@pytest.mark.parametrize("is_declared", [True, False])
def test_body_is_capped_at_one_megabyte(client: FlaskClient, size: int, status: int, is_declared: bool) -> None:
    chunked = {} if is_declared else {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}
    answer = client.post("/", data=b" " * size, headers=DIRECT, environ_overrides=chunked)
    assert answer.status_code == status


def test_without_targets_the_alert_is_acknowledged_and_logged(
    objects: MemoryObjects, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(objects, ALERT_TOKEN=TOKEN) as client:
        answer = client.post("/", data=event("monitoring_incident_open.json"), headers=DIRECT)
    assert answer.status_code == 204
    (line,) = [line for line in caplog.records if getattr(line, "event", None) == "alert.unrouted"]
    assert (line.levelno, vars(line)["title"]) == (logging.ERROR, "GPU backlog")


def test_no_secret_is_logged(
    client: FlaskClient, n8n: Receiver, slack: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    n8n.status = slack.status = 500
    body = event("monitoring_incident_open.json")
    answers = [client.post(f"/?token={TOKEN}", data=body), client.post("/?token=wrong", data=body)]
    assert [answer.status_code for answer in answers] == [503, 401]
    # The HTTP client's own INFO lines name URLs; shared.log silences them.
    ours = [line for line in caplog.records if line.name.partition(".")[0] not in ("httpx", "httpcore", "urllib3")]
    told = " ".join(str(vars(line)) + line.getMessage() for line in ours) + str([answer.data for answer in answers])
    assert "alert.undelivered" in told
    assert TOKEN not in told
    assert "s3cret" not in told
