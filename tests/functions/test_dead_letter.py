"""`dead_letter`: jobs are marked, their letters kept, an alert raised; each once, however often a letter comes."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from shared.dead_letters import give_up
from shared.errors import Unauthorized, Unavailable
from shared.job import Failure, State
from tests.fakes.services import FakeServices, fake_services
from tests.functions.letters import alerts, letter_of, letters, push_of
from tests.functions.serving import change, event, record, serving, submitted

OURS, BACKSTOP = "dead_letter_push.json", "dead_letter_backstop_push.json"


@pytest.fixture
def dead_letter(everything: FakeServices) -> Iterator[FlaskClient]:
    with serving("dead_letter", everything) as client:
        yield client


@pytest.mark.parametrize(
    ("file", "code", "reason"),
    [
        (OURS, "unavailable", "gave up after 5 attempts"),
        (BACKSTOP, "undeliverable", "Pub/Sub gave the message up after 20 deliveries"),
    ],
)
def test_letter_is_kept_its_job_marked_and_an_alert_raised(
    dead_letter: FlaskClient, everything: FakeServices, file: str, code: str, reason: str
) -> None:
    job = submitted(everything, webhook_url="https://hooks.example.com/done")
    assert dead_letter.post("/", json=event(file)).status_code == 204
    ((name, letter),) = letters(everything).items()
    assert name == f"dead-letters/{everything.now().date()}/{job.job_id}.json"
    assert letter["job_id"] == job.job_id
    assert letter["reason"].startswith(reason)
    assert letter["attributes"] == event(file)["message"]["attributes"]
    marked = record(everything, job.job_id)
    assert marked.state is State.DEAD_LETTERED
    assert marked.failure is not None
    assert (marked.failure.code, marked.failure.message) == (code, letter["reason"])
    (alert,) = alerts(everything)
    assert (alert["severity"], alert["labels"]) == ("critical", {"job_id": job.job_id, "code": code})
    assert [task.name for task in everything.queues.on("webhooks")] == [f"{job.job_id}-1-1"]
    assert everything.objects.names("state", "open/") == []


def test_a_reason_of_any_length_is_a_letter_of_its_job(dead_letter: FlaskClient, everything: FakeServices) -> None:
    """A library may say a lot."""
    job = submitted(everything)
    give_up(job, Failure(code="unavailable", message=f"gave up: {'no such model. ' * 5000}"), everything)
    (letter,) = everything.topics.on("dead-letters")
    assert dead_letter.post("/", json=push_of(letter.data)).status_code == 204
    (kept,) = letters(everything).values()
    assert (kept["job_id"], kept["code"]) == (job.job_id, "unavailable")
    assert kept["reason"].startswith("gave up: no such model. ")
    assert kept["reason"].endswith("…")


def test_letter_of_a_redriven_job_is_kept_beside_the_first(dead_letter: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    assert dead_letter.post("/", json=push_of(letter_of(job.job_id))).status_code == 204
    change(everything, job.job_id, "redriven")
    assert dead_letter.post("/", json=push_of(letter_of(job.job_id, submission=2))).status_code == 204
    date = everything.now().date()
    assert set(letters(everything)) == {
        f"dead-letters/{date}/{job.job_id}.json",
        f"dead-letters/{date}/{job.job_id}-2.json",
    }


def test_letter_that_comes_twice_is_kept_once_and_raises_the_same_alert(
    dead_letter: FlaskClient, everything: FakeServices
) -> None:
    submitted(everything)
    for _ in range(2):
        assert dead_letter.post("/", json=event(OURS)).status_code == 204
    assert len(letters(everything)) == 1
    assert len({alert["id"] for alert in alerts(everything)}) == 1


@pytest.mark.parametrize("broken", ["objects.write dead-letters/", "objects.write jobs/", "topics.publish alerts"])
def test_with_a_service_down_the_letter_comes_again(
    dead_letter: FlaskClient, everything: FakeServices, broken: str
) -> None:
    job = submitted(everything)
    everything.faults.fail_next(broken, Unavailable("down"))
    answer = dead_letter.post("/", json=event(OURS))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert dead_letter.post("/", json=event(OURS)).status_code == 204
    assert record(everything, job.job_id).state is State.DEAD_LETTERED
    assert len(letters(everything)) == len(alerts(everything)) == 1


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        (("leased", "succeeded"), State.SUCCEEDED),
        (("cancelled",), State.CANCELLED),
        (("cancelled", "redriven"), State.QUEUED),
    ],
)
def test_job_that_ended_or_was_redriven_keeps_its_state(
    dead_letter: FlaskClient,
    everything: FakeServices,
    steps: tuple[str, ...],
    state: State,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = submitted(everything)
    change(everything, job.job_id, *steps)
    caplog.clear()
    assert dead_letter.post("/", json=event(BACKSTOP)).status_code == 204
    assert record(everything, job.job_id).state is state
    assert len(letters(everything)) == 1
    assert alerts(everything) == []
    # `letter.kept` is counted, and raises an alert.
    warned = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert [getattr(each, "event", None) for each in warned] == ["letter.outdated"]


def test_job_under_a_live_lease_is_not_marked(dead_letter: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "leased")
    assert dead_letter.post("/", json=event(BACKSTOP)).status_code == 204
    assert record(everything, job.job_id).state is State.RUNNING
    assert len(letters(everything)) == 1
    assert alerts(everything) == []


def test_letter_of_a_submission_before_the_lost_one_raises_no_alert(
    dead_letter: FlaskClient, everything: FakeServices
) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "cancelled", "redriven", "dead_lettered")
    assert dead_letter.post("/", json=event(OURS)).status_code == 204
    assert alerts(everything) == []


def test_letter_about_a_job_nobody_knows_is_kept(dead_letter: FlaskClient, everything: FakeServices) -> None:
    assert dead_letter.post("/", json=event(OURS)).status_code == 204
    assert len(letters(everything)) == len(alerts(everything)) == 1


def test_our_own_letter_says_what_the_record_says(dead_letter: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    give_up(job, Failure(code="disk_full", message="no room"), everything)
    (published,) = everything.topics.on("dead-letters")
    assert dead_letter.post("/", json=push_of(published.data)).status_code == 204
    (letter,) = letters(everything).values()
    assert (letter["code"], letter["reason"], letter["source"]) == ("disk_full", "no room", job.source.uri)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff",
        b"[" * 10_000,
        b"null",
        b"[]",
        b'{"job_id": "../../etc"}',
        b'{"job_id": 7}',
        b'{"submission": "x"}',
    ],
)
def test_letter_that_cannot_be_read_is_kept_whole(
    dead_letter: FlaskClient, everything: FakeServices, data: bytes
) -> None:
    assert dead_letter.post("/", json=push_of(data)).status_code == 204
    ((name, letter),) = letters(everything).items()
    assert name.endswith("/message-7.json")
    assert letter["code"] == "unreadable"
    assert base64.b64decode(letter["data"]) == data
    assert [alert["title"] for alert in alerts(everything)] == ["A message could not be read"]


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"{}",
        b'{"message": 1}',
        b'{"message": {"data": "%", "messageId": "1"}}',
        b"[" * 100_000,
        b'{"message": {"data": "' + b"A" * 13_000_000 + b'", "messageId": "1"}}',
    ],
    ids=lambda body: repr(body)[:40],
)
def test_body_that_is_no_push_of_ours_is_a_letter_all_the_same(
    dead_letter: FlaskClient, everything: FakeServices, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a message of 10 MB, which Pub/Sub's backstop forwards as it is, the beginning."""
    assert [dead_letter.post("/", data=body).status_code for _ in range(2)] == [204, 204]
    assert [line.event for line in caplog.records if hasattr(line, "event")] == ["letter.malformed", "letter.kept"] * 2
    (letter,) = letters(everything).values()
    assert letter["code"] == "unreadable"
    assert base64.b64decode(letter["data"]) == body[: 64 * 1024]


def test_body_without_anything_to_keep_is_acknowledged_and_logged(
    dead_letter: FlaskClient, everything: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    assert dead_letter.post("/", data=b"").status_code == 204
    assert [line.event for line in caplog.records if hasattr(line, "event")] == ["letter.malformed"]
    assert letters(everything) == {}


def test_strangers_are_refused_before_anything_is_read() -> None:
    class Nobody:
        def verify(self, authorization: str | None) -> None:
            raise Unauthorized("this endpoint takes calls with an OIDC bearer token only")

    everything = fake_services(callers=Nobody())
    with serving("dead_letter", everything) as client:
        answer = client.post("/", json=event(OURS))
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert everything.faults.calls == []
