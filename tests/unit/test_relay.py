from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from shared.alert_ledger import CLAIM_SECONDS, AlertLedger
from shared.alerts import Alert
from shared.errors import JobError, PermanentError, SourceRefused, Unavailable
from shared.relay import N8N_PAUSES_SECONDS, TIMEOUT_SECONDS, Targets, relay
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.receivers import Answer, Receivers, always

N8N = "https://n8n.example.com/webhook/n8n-secret"
SLACK = "https://hooks.slack.example.com/services/slack-secret"
BOTH = Targets(SecretStr(N8N), SecretStr(SLACK))
ONLY_N8N = Targets(SecretStr(N8N), None)
ONLY_SLACK = Targets(None, SecretStr(SLACK))
NEITHER = Targets(None, None)


class Died(Exception):
    """The process ends here."""


def alert(number: int = 1) -> Alert:
    return Alert(
        id=f"hub:{number}",
        source="hub",
        title=f"Title {number}",
        state="open",
        severity="critical",
        summary="It broke.",
        labels={"job_id": "abc"},
    )


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def ledger(objects: MemoryObjects) -> AlertLedger:
    return AlertLedger(objects, "state")


@dataclass
class Relay:
    """The relay on one ledger; each call may meet other receivers."""

    ledger: AlertLedger
    waits: list[float] = field(default_factory=list)

    def __call__(self, receivers: Receivers, *alerts: Alert, targets: Targets = BOTH) -> None:
        relay(alerts, sender=receivers, ledger=self.ledger, targets=targets, wait=self.waits.append)


@pytest.fixture
def send(ledger: AlertLedger) -> Relay:
    return Relay(ledger)


def test_n8n_gets_the_alert_as_json_and_slack_nothing(send: Relay) -> None:
    receivers = Receivers()
    send(receivers, alert())
    assert receivers.urls == [N8N]
    assert Alert.model_validate_json(receivers.posts[0][1]) == alert()
    assert send.waits == []


@pytest.mark.parametrize("first", [500, 404, 301, 429, Unavailable("timed out")])
def test_failing_n8n_is_tried_again_after_a_pause(send: Relay, first: Answer) -> None:
    receivers = Receivers({N8N: [first]})
    send(receivers, alert())
    assert receivers.urls == [N8N, N8N]
    assert send.waits == [0.5]


@pytest.mark.parametrize("answer", [500, 404, Unavailable("connection refused")])
def test_slack_gets_the_alert_when_n8n_failed_three_times(send: Relay, answer: Answer) -> None:
    receivers = Receivers({N8N: [answer] * 3})
    send(receivers, alert())
    assert receivers.urls == [N8N, N8N, N8N, SLACK]
    assert send.waits == [0.5, 1.0]
    assert json.loads(receivers.posts[-1][1])["text"] == "CRITICAL: Title 1"


def test_target_that_is_refused_by_the_guard_is_not_tried_again(send: Relay) -> None:
    receivers = Receivers({N8N: [SourceRefused("a private address")]})
    send(receivers, alert())
    assert receivers.urls == [N8N, SLACK]
    assert send.waits == []


def test_target_without_url_is_not_tried(send: Relay) -> None:
    receivers = Receivers(always={N8N: always(500)})
    send(receivers, alert(), targets=ONLY_SLACK)
    assert receivers.urls == [SLACK]
    with pytest.raises(Unavailable):
        send(receivers, alert(2), targets=ONLY_N8N)
    assert receivers.urls == [SLACK, N8N, N8N, N8N]


def test_alert_without_any_target_is_logged_and_not_owed(
    send: Relay, objects: MemoryObjects, caplog: pytest.LogCaptureFixture
) -> None:
    receivers = Receivers()
    send(receivers, alert(), targets=NEITHER)
    (line,) = caplog.records
    assert (line.levelno, line.event, line.title) == (logging.ERROR, "alert.unrouted", "Title 1")
    assert receivers.posts == []
    send(receivers, alert())
    assert receivers.urls == [N8N]


def test_both_down_means_the_sender_must_try_again_and_then_it_goes_out_once(
    send: Relay, objects: MemoryObjects
) -> None:
    with pytest.raises(Unavailable):
        send(Receivers(always={N8N: always(500), SLACK: always(500)}), alert())
    objects.advance(CLAIM_SECONDS + 1)
    receivers = Receivers()
    send(receivers, alert())
    send(receivers, alert())
    assert receivers.urls == [N8N]


def test_same_alert_twice_goes_out_once(send: Relay, objects: MemoryObjects) -> None:
    receivers = Receivers()
    send(receivers, alert(), alert())
    objects.advance(86_400)
    send(receivers, alert())
    assert receivers.urls == [N8N]


def test_what_did_go_out_is_not_repeated_when_the_rest_is_sent_again(send: Relay, objects: MemoryObjects) -> None:
    def no_second_title(body: bytes) -> Answer:
        return 400 if b"Title 2" in body else 200

    first = Receivers(always={N8N: no_second_title, SLACK: no_second_title})
    with pytest.raises(Unavailable, match="1 of 3"):
        send(first, alert(1), alert(2), alert(3))
    assert [b"Title 3" in body for _, body in first.posts].count(True) == 1
    objects.advance(CLAIM_SECONDS + 1)
    second = Receivers()
    send(second, alert(1), alert(2), alert(3))
    assert [Alert.model_validate_json(body).title for _, body in second.posts] == ["Title 2"]


def test_process_that_dies_between_claim_and_send_loses_nothing(send: Relay, objects: MemoryObjects) -> None:
    with pytest.raises(Died):
        send(Receivers({N8N: [Died()]}), alert())
    receivers = Receivers()
    objects.advance(CLAIM_SECONDS)
    with pytest.raises(Unavailable):
        send(receivers, alert())
    assert receivers.posts == []
    objects.advance(1)
    send(receivers, alert())
    send(receivers, alert())
    assert receivers.urls == [N8N]


def test_process_that_dies_between_send_and_mark_sends_twice_rather_than_never(
    send: Relay, objects: MemoryObjects
) -> None:
    def die_at_mark(name: str) -> None:
        if name.endswith("/sent"):
            raise Died

    objects.before_write = die_at_mark
    receivers = Receivers()
    with pytest.raises(Died):
        send(receivers, alert())
    objects.before_write = lambda name: None
    objects.advance(CLAIM_SECONDS + 1)
    send(receivers, alert())
    send(receivers, alert())
    assert receivers.urls == [N8N, N8N]


def test_alert_that_another_instance_is_sending_is_owed_until_that_one_is_done(
    ledger: AlertLedger, send: Relay
) -> None:
    is_sending, may_finish = threading.Event(), threading.Event()

    def slow(body: bytes) -> Answer:
        is_sending.set()
        assert may_finish.wait(10)
        return 200

    first = Receivers(always={N8N: slow})
    second = Receivers()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(Relay(ledger), first, alert())
        assert is_sending.wait(10)
        with pytest.raises(Unavailable):
            send(second, alert())
        may_finish.set()
        sending.result(10)
    send(second, alert())
    assert (first.urls, second.urls) == ([N8N], [])


def test_many_deliveries_at_once_send_each_alert_once(ledger: AlertLedger) -> None:
    receivers = Receivers()
    deliveries = 8
    start = threading.Barrier(deliveries)

    def deliver(_: int) -> None:
        start.wait(10)
        while True:
            try:
                Relay(ledger)(receivers, *(alert(number) for number in range(5)))
            except Unavailable:
                continue
            return

    with ThreadPoolExecutor(deliveries) as pool:
        list(pool.map(deliver, range(deliveries), timeout=30))
    assert sorted(Alert.model_validate_json(body).id for _, body in receivers.posts) == [
        f"hub:{number}" for number in range(5)
    ]


@pytest.mark.parametrize("failing", ["/claim", "/sent"])
@pytest.mark.parametrize("error", [Unavailable("down"), PermanentError("not allowed")])
def test_alert_goes_out_even_when_the_ledger_does_not_answer(
    send: Relay, objects: MemoryObjects, failing: str, error: JobError
) -> None:
    refused: list[str] = []

    def refuse(name: str) -> None:
        if name.endswith(failing):
            refused.append(name)
            raise error

    objects.before_write = refuse
    receivers = Receivers()
    send(receivers, alert(1), alert(2))
    assert receivers.urls == [N8N, N8N]
    assert len(refused) == 1


def test_storm_asks_a_dead_n8n_once_and_goes_to_slack(send: Relay) -> None:
    receivers = Receivers(always={N8N: always(Unavailable("timed out"))})
    send(receivers, *(alert(number) for number in range(50)))
    assert receivers.urls == [N8N] * 3 + [SLACK] * 50
    assert sum(send.waits) == 1.5


def test_storm_with_both_down_ends_after_one_alert(send: Relay) -> None:
    receivers = Receivers(always={N8N: always(503), SLACK: always(429)})
    with pytest.raises(Unavailable, match="50 of 50"):
        send(receivers, *(alert(number) for number in range(50)))
    assert receivers.urls == [N8N] * 3 + [SLACK]


def test_next_call_asks_n8n_again(send: Relay) -> None:
    receivers = Receivers({N8N: [500] * 3})
    send(receivers, alert(1))
    send(receivers, alert(2))
    assert receivers.urls == [N8N] * 3 + [SLACK, N8N]


def test_one_alerts_sending_ends_before_its_claim_goes_stale() -> None:
    posts = len(N8N_PAUSES_SECONDS) + 1 + 1
    assert posts * TIMEOUT_SECONDS + sum(N8N_PAUSES_SECONDS) < CLAIM_SECONDS / 2


@pytest.mark.parametrize("answer", [500, 400, Unavailable("down"), SourceRefused("no")])
def test_no_log_line_tells_a_url(send: Relay, answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unavailable) as error:
        send(Receivers(always={N8N: always(answer), SLACK: always(answer)}), alert())
    events = {line.event for line in caplog.records}
    assert events == {"alert.target_failed", "alert.undelivered"}
    told = " ".join(str(vars(line)) for line in caplog.records) + str(error.value) + repr(BOTH)
    assert "secret" not in told
    assert "example.com" not in told
