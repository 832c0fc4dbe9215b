"""`deliver`: one try of one webhook, posted to a real receiver on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from shared.conclude import conclude
from shared.errors import Unauthorized, Unavailable
from shared.fetch import FetchPolicy, GuardedClient
from shared.job import Job, WebhookTry
from shared.queues import Task
from shared.webhooks import DELAYS_SECONDS
from tests.fakes.clock import FakeClock
from tests.fakes.http_target import Reply, Target, http_target
from tests.fakes.objects import FakeObjects
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import change, event, record, serving, submitted

TASK = event("webhook_task.json")


@pytest.fixture
def everything() -> FakeServices:
    """At the real time: the receivers' library refuses timestamps that are five minutes off."""
    return fake_services(
        objects=FakeObjects(clock=FakeClock(datetime.now(UTC))), http=GuardedClient(FetchPolicy(allow_loopback=True))
    )


@pytest.fixture
def receiver() -> Iterator[Target]:
    with http_target() as target:
        yield target


@pytest.fixture
def deliver(everything: FakeServices) -> Iterator[FlaskClient]:
    with serving("deliver", everything) as client:
        yield client


def ended(everything: FakeServices, url: str, *steps: str) -> Job:
    """A job that has ended, with the first try of its webhook taken off the queue."""
    job = submitted(everything, webhook_url=url)
    job = change(everything, job.job_id, *(steps or ("leased", "succeeded")))
    conclude(job, everything)
    (first,) = everything.queues.on("webhooks")
    assert json.loads(first.body) == TASK
    everything.queues.done("webhooks", first)
    everything.clock.advance(10)
    return job


def attempt(client: FlaskClient, number: int = 1) -> int:
    return client.post("/", json={**TASK, "number": number}).status_code


def tries(everything: FakeServices) -> list[WebhookTry]:
    return list(record(everything, TASK["job_id"]).webhook_tries)


def planned(everything: FakeServices) -> list[Task]:
    return everything.queues.on("webhooks")


def test_webhook_is_signed_and_says_what_the_api_says(
    deliver: FlaskClient, everything: FakeServices, receiver: Target
) -> None:
    job = ended(everything, receiver.url + "hook?token=s3cret")
    assert attempt(deliver) == 204
    (got,) = receiver.received
    assert (got.method, got.path) == ("POST", "/hook?token=s3cret")
    assert everything.settings.webhook_secret is not None
    body = Webhook(everything.settings.webhook_secret.get_secret_value()).verify(got.body, dict(got.headers))
    assert got.headers["webhook-id"] == f"{job.job_id}-1"
    assert (body["type"], body["job_id"], body["id"]) == ("job.succeeded", job.job_id, None)
    assert (body["code"], body["message"]) == (200, "success")
    assert body["response"] == {"transcribe": {"language": "en"}}
    with serving("ingest", everything) as api:
        shown = api.get(f"/v1/jobs/{job.job_id}", headers={"X-API-Key": "secret-shop-key"}).json
    assert shown is not None
    assert body["data"] == {**shown, "webhook_tries": []}


def test_each_header_is_sent_once(deliver: FlaskClient, everything: FakeServices, receiver: Target) -> None:
    ended(everything, receiver.url)
    attempt(deliver)
    names = [name.lower() for name in receiver.received[0].headers]
    assert len(names) == len(set(names))
    assert {"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"} <= set(names)


@pytest.mark.parametrize(
    ("steps", "kind", "message"),
    [
        (("leased", "failed"), "job.failed", "the decoder said no"),
        (("dead_lettered",), "job.dead_lettered", "the decoder said no"),
        (("cancelled",), "job.cancelled", "cancelled"),
    ],
)
def test_other_ends_are_told_with_their_reason(
    deliver: FlaskClient, everything: FakeServices, receiver: Target, steps: tuple[str, ...], kind: str, message: str
) -> None:
    ended(everything, receiver.url, *steps)
    assert attempt(deliver) == 204
    body = json.loads(receiver.received[0].body)
    assert (body["type"], body["code"], body["message"], body["response"]) == (kind, 500, message, None)


def test_delivered_webhook_stands_in_the_record_and_plans_nothing(
    deliver: FlaskClient, everything: FakeServices, receiver: Target
) -> None:
    ended(everything, receiver.url)
    receiver.answers(202)
    assert attempt(deliver) == 204
    assert tries(everything) == [WebhookTry(number=1, at=everything.now(), status=202)]
    assert planned(everything) == []


@pytest.mark.parametrize("status", [500, 503, 429, 404, 401, 302])
def test_anything_but_2xx_plans_the_next_try(
    deliver: FlaskClient, everything: FakeServices, receiver: Target, status: int
) -> None:
    job = ended(everything, receiver.url)
    receiver.answers(status)
    assert attempt(deliver) == 204
    (task,) = planned(everything)
    assert (task.name, json.loads(task.body)["number"]) == (f"{job.job_id}-1-2", 2)
    assert task.schedule_at == everything.now() + timedelta(seconds=5)
    assert tries(everything)[0].status == status


def test_tries_go_on_with_growing_pauses_and_end(
    deliver: FlaskClient, everything: FakeServices, receiver: Target, caplog: pytest.LogCaptureFixture
) -> None:
    ended(everything, receiver.url)
    for number in range(1, len(DELAYS_SECONDS) + 2):
        receiver.answers(500)
        assert attempt(deliver, number) == 204
        for task in planned(everything):
            assert task.schedule_at is not None
            assert (task.schedule_at - everything.now()).total_seconds() == DELAYS_SECONDS[number - 1]
            everything.clock.advance(DELAYS_SECONDS[number - 1])
            everything.queues.done("webhooks", task)
    assert [made.number for made in tries(everything)] == list(range(1, len(DELAYS_SECONDS) + 2))
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.received}) == len(receiver.received)
    assert [line.event for line in caplog.records if hasattr(line, "event")][-1] == "webhook.given_up"


def test_receiver_may_ask_for_a_longer_pause(deliver: FlaskClient, everything: FakeServices, receiver: Target) -> None:
    ended(everything, receiver.url)
    receiver.replies.append(Reply(503, {"Retry-After": "120"}))
    attempt(deliver)
    (task,) = planned(everything)
    assert task.schedule_at == everything.now() + timedelta(seconds=120)


def test_a_pause_that_is_no_date_costs_the_webhook_nothing(
    deliver: FlaskClient, everything: FakeServices, receiver: Target
) -> None:
    ended(everything, receiver.url)
    receiver.replies.append(Reply(503, {"Retry-After": "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"}))
    assert attempt(deliver) == 204
    assert [made.status for made in tries(everything)] == [503]
    (task,) = planned(everything)
    assert task.schedule_at == everything.now() + timedelta(seconds=DELAYS_SECONDS[0])


def test_410_is_asked_no_more(deliver: FlaskClient, everything: FakeServices, receiver: Target) -> None:
    ended(everything, receiver.url)
    receiver.answers(410)
    assert attempt(deliver) == 204
    assert tries(everything)[0].status == 410
    assert planned(everything) == []


def test_redirect_is_not_followed(deliver: FlaskClient, everything: FakeServices, receiver: Target) -> None:
    ended(everything, receiver.url)
    receiver.replies.append(Reply(307, {"Location": f"{receiver.url}elsewhere"}))
    attempt(deliver)
    assert [got.path for got in receiver.received] == ["/"]
    assert tries(everything)[0].status == 307


def test_receiver_that_hangs_is_noted_and_tried_again(
    deliver: FlaskClient, everything: FakeServices, receiver: Target
) -> None:
    impatient = GuardedClient(FetchPolicy(allow_loopback=True, idle_seconds=0.3))
    object.__setattr__(everything, "http", impatient)
    ended(everything, receiver.url)
    receiver.gate.clear()
    assert attempt(deliver) == 204
    assert [(made.status, made.error) for made in tries(everything)] == [(None, "unavailable")]
    assert len(planned(everything)) == 1


def test_receiver_that_is_gone_is_noted_and_tried_again(deliver: FlaskClient, everything: FakeServices) -> None:
    with http_target() as closed:
        pass
    ended(everything, closed.url)
    assert attempt(deliver) == 204
    assert [(made.status, made.error) for made in tries(everything)] == [(None, "unavailable")]
    assert len(planned(everything)) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook", "https://10.0.0.7/hook", "https://[fd00::1]/hook"])
def test_place_inside_a_network_is_never_posted_to(url: str) -> None:
    everything = fake_services(http=GuardedClient(FetchPolicy()))
    ended(everything, url)
    with serving("deliver", everything) as client:
        assert attempt(client) == 204
    assert [made.error for made in tries(everything)] == ["source_refused"]
    assert planned(everything) == []


def test_duplicate_task_does_not_post_twice(deliver: FlaskClient, everything: FakeServices, receiver: Target) -> None:
    ended(everything, receiver.url)
    receiver.answers(500)
    assert [attempt(deliver), attempt(deliver)] == [204, 204]
    assert len(receiver.received) == len(tries(everything)) == len(planned(everything)) == 1


def test_next_try_is_planned_by_the_repetition_when_the_first_died_before_that(
    deliver: FlaskClient, everything: FakeServices, receiver: Target
) -> None:
    ended(everything, receiver.url)
    receiver.answers(500)
    everything.faults.fail_next("queues.enqueue webhooks", Unavailable("down"))
    assert attempt(deliver) == 503
    assert attempt(deliver) == 204
    assert len(receiver.received) == len(planned(everything)) == 1


@pytest.mark.parametrize("steps", [("failed",), ("failed", "redriven")])
def test_try_of_an_older_submission_or_without_a_webhook_is_dropped(
    deliver: FlaskClient, everything: FakeServices, receiver: Target, steps: tuple[str, ...]
) -> None:
    submitted(everything, webhook_url=receiver.url if "redriven" in steps else None)
    change(everything, TASK["job_id"], "leased", *steps)
    assert attempt(deliver) == 204
    assert receiver.received == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"{}",
        b'{"job_id": 1}',
        b"[" * 10_000,
        b"\xff",
        json.dumps({**TASK, "job_id": "../../open/x"}).encode(),
        json.dumps({**TASK, "submission": 0}).encode(),
        json.dumps({**TASK, "number": 0}).encode(),
        json.dumps(TASK).encode() + b" " * 1_000_000,
    ],
    ids=lambda body: repr(body)[:60],
)
def test_body_that_is_no_try_is_done_and_logged(
    deliver: FlaskClient, everything: FakeServices, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert deliver.post("/", data=body).status_code == 204
    assert [line.event for line in caplog.records if hasattr(line, "event")] == ["webhook.malformed"]
    assert everything.faults.calls == []


def test_strangers_are_refused_before_anything_is_read(receiver: Target) -> None:
    class Nobody:
        def verify(self, authorization: str | None) -> None:
            raise Unauthorized("this endpoint takes calls with an OIDC bearer token only")

    everything = fake_services(callers=Nobody())
    ended(everything, receiver.url)
    before = len(everything.faults.calls)
    with serving("deliver", everything) as client:
        assert attempt(client) == 401
    assert len(everything.faults.calls) == before
    assert receiver.received == []


def test_neither_url_nor_body_is_logged(
    deliver: FlaskClient, everything: FakeServices, receiver: Target, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ended(everything, receiver.url + "hook?token=s3cret")
    receiver.answers(500)
    attempt(deliver)
    told: Any = [vars(line) for line in caplog.records]
    assert any(line.get("event") == "webhook.failed" for line in told)
    assert "s3cret" not in str(told)
    assert "keynote" not in str(told)
