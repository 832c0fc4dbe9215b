"""Faults 28–30: receivers that hang, refuse and die, and what is delivered twice."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.alert_ledger import CLAIM_SECONDS
from shared.alerts import Alert
from shared.job import WebhookTry
from tests.chaos.catalogue import scenario
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Hub
from tests.gcloud.certificate import self_signed
from tests.waiting import eventually


@scenario(28, promises=(1, 6), parts=("500, 3xx, 410, bad certificate",))
def receivers_refuse(hub: Hub) -> None:
    """500 and 301 are tried again, 410 is not, and a certificate nobody vouches for is never accepted."""
    ids = {status: hub.announced(operations=["probe"], has_hook=True, answers=[status]) for status in (500, 301, 410)}
    with _untrusted(hub) as url:
        bad = hub.announced(operations=["probe"], hook_url=url)
        assert [tried.error for tried in _tries(hub, bad, 1)] == ["bad_certificate"]
    assert [tried.status for tried in _tries(hub, ids[500], 2)] == [500, 200]
    assert [tried.status for tried in _tries(hub, ids[301], 2)] == [301, 200]
    assert [tried.status for tried in _tries(hub, ids[410], 1)] == [410]
    assert not hub.receiver.at("/elsewhere")


@scenario(28, promises=(1, 6), parts=("hangs",))
def a_receiver_hangs(hub: Hub) -> None:
    slow = hub.announced(operations=["probe"], has_hook=True, answers=[-20])
    quick = hub.announced(operations=["probe"], has_hook=True)
    assert [tried.status for tried in _tries(hub, quick, 1)] == [200]
    assert hub.ended(slow).state == "succeeded"
    assert [(tried.status, tried.error) for tried in _tries(hub, slow, 2)] == [(None, "unavailable"), (200, None)]


@scenario(29, promises=(6,), parts=("n8n, Slack, both",))
def n8n_is_down_then_slack_then_both(hub: Hub) -> None:
    hub.receiver.answers["/n8n"] = [500] * 3
    _alert(hub, "n8n-is-down")
    eventually(lambda: _heard(hub, "/slack", "n8n-is-down"), "Slack hears of it")
    hub.receiver.answers["/slack"] = [500] * 3
    _alert(hub, "slack-is-down")
    eventually(lambda: _heard(hub, "/n8n", "slack-is-down"), "n8n hears of it")
    hub.receiver.answers["/n8n"] = [500] * 6
    hub.receiver.answers["/slack"] = [500] * 2
    _alert(hub, "both-are-down")
    eventually(lambda: not hub.receiver.answers["/n8n"], "n8n is up again", within_s=90)
    eventually(lambda: len(_heard(hub, "/n8n", "both-are-down")) == 7, "it comes in the end", within_s=60)
    hub.receiver.answers.clear()


@scenario(29, promises=(6,), parts=("an alert storm",))
def an_alert_storm_goes_out_once(hub: Hub) -> None:
    for _ in range(30):
        _alert(hub, "storm")
    _alert(hub, "after-the-storm")
    eventually(lambda: _heard(hub, "/n8n", "after-the-storm"), "the next one", within_s=60)
    eventually(lambda: hub.plan.points["alert_relay POST /"] >= 31, "the whole storm")
    assert len(_heard(hub, "/n8n", '"storm"')) == 1


@scenario(30, promises=(2, 4))
def a_webhook_s_task_comes_twice(hub: Hub) -> None:
    """Twice at once may be two posts of one id; after an answer that was lost, it is one."""
    hub.put(Fault("deliver POST /", Way.LOSE_ANSWER, nth=1), Fault("deliver POST /", Way.TWICE, nth=3))
    first = hub.upload(operations="probe", has_hook=True)
    assert len(_tries(hub, first, 1)) == 1
    eventually(lambda: hub.plan.points["deliver POST /"] >= 2, "the task comes again")
    assert len(hub.receiver.at(hub.asked[first].hook or "")) == 1
    second = hub.upload(operations="probe", has_hook=True)
    assert len(_tries(hub, second, 1)) == 1
    eventually(lambda: not hub.plan.waiting(), "it comes twice")
    assert len({each.headers["webhook-id"] for each in hub.receiver.at(hub.asked[second].hook or "")}) == 1


@scenario(29, promises=(6,), parts=("the relay dies",))
def the_relay_dies_with_an_alert_in_its_hands(hub: Hub) -> None:
    """Before it claims the alert, and after it has noted that it was sent."""
    for part, way in (("claim", Way.KILL_BEFORE), ("sent", Way.KILL_AFTER)):
        hub.put(_at_write(f"relay-dies-{part}", part, way))
        _alert(hub, f"relay-dies-{part}")
        eventually(lambda: not hub.plan.waiting(), "its death", within_s=30)
        eventually(lambda part=part: _heard(hub, "/n8n", f"relay-dies-{part}"), part, within_s=60)  # type: ignore[misc]
    assert len(_heard(hub, "/n8n", "relay-dies-sent")) == 1


@scenario(29, promises=(6,), parts=("the relay dies between",))
def the_relay_dies_between_its_claim_and_its_mark(hub: Hub) -> None:
    """Late, or twice, and never not at all: a claim whose owner died is nobody's after a minute."""
    for name, part, way in (("claimed", "claim", Way.KILL_AFTER), ("unmarked", "sent", Way.KILL_BEFORE)):
        hub.put(_at_write(f"relay-dies-{name}", part, way))
        _alert(hub, f"relay-dies-{name}")
        eventually(lambda: not hub.plan.waiting(), "its death", within_s=30)
    eventually(lambda: _heard(hub, "/n8n", "relay-dies-claimed"), "late", within_s=CLAIM_SECONDS + 30)
    eventually(lambda: len(_heard(hub, "/n8n", "relay-dies-unmarked")) == 2, "twice", within_s=CLAIM_SECONDS + 30)


def _tries(hub: Hub, job_id: str, number: int) -> tuple[WebhookTry, ...]:
    job = hub.driver.until(job_id, lambda job: len(job.webhook_tries) >= number, f"try {number}", within_s=60)
    return job.webhook_tries


def _alert(hub: Hub, name: str) -> None:
    now = hub.cloud.services.now()
    alert = Alert(
        id=name, source="hub", title=name, state="open", severity="critical", summary=name, labels={}, started_at=now
    )
    hub.cloud.services.topics.publish("alerts", alert.model_dump_json().encode(), {})


def _at_write(alert_id: str, part: str, way: Way) -> Fault:
    """At the relay's write about this alert and no other: one of an earlier scenario may come again at any time."""
    folder = hashlib.sha256(alert_id.encode()).hexdigest().encode()
    return Fault(rf"storage write local-state alerts/.*/{part}", way, having=folder)


def _heard(hub: Hub, path: str, name: str) -> list[object]:
    return [each for each in hub.receiver.at(path) if name in each.body.decode()]


@contextmanager
def _untrusted(hub: Hub) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    _, context = self_signed(hub.folder)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda request, address: None  # type: ignore[method-assign] # refused, as it must be
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
