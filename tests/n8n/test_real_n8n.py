"""The workflows in a real n8n, with a local cloud at the other end; what they did is read from n8n's database."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from shared import webhooks
from tests.n8n.server import Execution
from tests.n8n.stage import ALERTS, IMPATIENT, SUBMIT, TRIED, Stage

pytestmark = [pytest.mark.n8n, pytest.mark.e2e, pytest.mark.timeout(600)]

EVENTS = Path(__file__).parents[1] / "events"
#: What the recording begins with; the small model may mishear the rest.
WORDS = "it was the best of times"


def incident(name: str, **changes: str) -> bytes:
    notification = json.loads((EVENTS / name).read_bytes())
    notification["incident"] |= changes
    return json.dumps(notification).encode()


def new(stage: Stage, workflow: str) -> int:
    return len(stage.n8n.executions(workflow))


def waiting(stage: Stage, before: int) -> Execution:
    return stage.n8n.one(SUBMIT, "waiting", after=before)


def test_alert_is_taken_once_however_often_it_is_sent(stage: Stage) -> None:
    before, heard = new(stage, ALERTS), len(stage.pager.bodies)
    opened = incident("monitoring_incident_open.json", severity="critical", incident_id="once")
    assert [stage.alert(opened).status_code for _ in range(3)] == [204, 204, 204]
    execution = stage.n8n.one(ALERTS, "success", after=before)
    (received,) = execution.outputs("Alert from the hub")
    assert received["body"]["id"].endswith("once:open")
    (told,) = stage.pager.bodies[heard:]
    assert told["text"].startswith(f"🔴 CRITICAL: {received['body']['title']}")
    assert stage.fallback.bodies == []


def test_alert_that_is_over_or_not_critical_goes_to_the_channel(stage: Stage) -> None:
    paged, heard = len(stage.pager.bodies), len(stage.channel.bodies)
    assert (
        stage.alert(incident("monitoring_incident_open.json", severity="warning", incident_id="w")).status_code == 204
    )
    assert (
        stage.alert(incident("monitoring_incident_closed.json", severity="critical", incident_id="w")).status_code
        == 204
    )
    texts = [body["text"] for body in stage.channel.bodies[heard:]]
    assert [text.split(":")[0] for text in texts] == ["🟠 WARNING", "✅ RESOLVED"]
    assert len(stage.pager.bodies) == paged


def test_relay_falls_back_when_the_workflow_cannot_tell_anybody(stage: Stage) -> None:
    before = new(stage, ALERTS)
    stage.channel.status = 500
    try:
        assert (
            stage.alert(incident("monitoring_incident_open.json", severity="warning", incident_id="f")).status_code
            == 204
        )
    finally:
        stage.channel.status = 200
    assert [each.status for each in stage.n8n.executions(ALERTS)[before:]] == ["error"] * 3
    (told,) = stage.fallback.bodies
    assert told["text"].startswith("WARNING")
    stage.fallback.bodies.clear()


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"id": "x", "title": "t"}),
        ("?token=wrong", {"id": "x", "title": "t"}),
        ("?token=alerts-t0ken&token=alerts-t0ken", {"id": "x", "title": "t"}),
        ("?token=alerts-t0ken", {"hello": "world"}),
    ],
)
def test_what_is_no_alert_of_the_hub_is_not_taken(stage: Stage, query: str, body: dict[str, str]) -> None:
    heard = len(stage.channel.bodies) + len(stage.pager.bodies)
    answered = httpx.post(stage.n8n.webhook("nca-alerts") + query, json=body, trust_env=False)
    assert answered.status_code == 500
    assert len(stage.channel.bodies) + len(stage.pager.bodies) == heard


def test_file_is_submitted_and_its_transcript_waited_for(stage: Stage) -> None:
    before = new(stage, SUBMIT)
    accepted = stage.submit(stage.source("short.wav"), id="talk-1")
    assert (accepted.status_code, accepted.json()["id"]) == (202, "talk-1")
    execution = stage.n8n.one(SUBMIT, "success", after=before)
    (result,) = execution.outputs("Result")
    assert result["job_id"] == accepted.json()["job_id"]
    assert WORDS in result["transcript"].lower()
    assert result["subtitles"].startswith("1\n00:00:00")
    assert stage.delivered(result["job_id"])[-1] == 204
    assert execution.outputs("Ask the hub") == []


def test_one_click_at_the_editor_tries_it(stage: Stage) -> None:
    stage.n8n.execute(TRIED)
    execution = stage.n8n.one(TRIED, "success")
    assert WORDS in execution.outputs("Result")[0]["transcript"].lower()
    assert execution.outputs("File to process") == []


def forgeries(stage: Stage, job_id: str) -> dict[str, dict[str, Any]]:
    """Requests to the resume URL that say that the job is done, and are not the hub's."""
    secret = stage.cloud.profile.webhook_secret
    body = json.dumps(
        {"type": "job.succeeded", "job_id": job_id, "data": {"job_id": job_id, "state": "succeeded"}}
    ).encode()
    foreign = body.replace(job_id.encode(), b"another")
    now, typed = int(time.time()), {"content-type": "application/json"}

    def signed(body: bytes, *, by: str = secret, at: int = now) -> dict[str, Any]:
        return {"content": body, "headers": {**typed, **webhooks.headers(by, "id", at, body)}}

    return {
        "unsigned": {"content": body, "headers": typed},
        "of another secret": signed(body, by="whsec_Zm9yZ2Vk"),
        "late": signed(body, at=now - 301),
        "from the future": signed(body, at=now + 400),
        "changed": signed(body) | {"content": body.replace(b"succeeded", b"cancelled")},
        "about another job": signed(foreign),
        "empty": {"headers": signed(body)["headers"]},
        "no JSON": {"content": b"{", "headers": typed},
        "a form": {"files": {"file": ("body.json", body)}, "headers": webhooks.headers(secret, "id", now, body)},
    }


def test_call_that_is_not_the_hubs_is_refused_and_the_wait_goes_on(stage: Stage) -> None:
    gate, before = Event(), new(stage, SUBMIT)
    job_id = stage.submit(stage.source("short.wav", gate)).json()["job_id"]
    resume_url = f"{stage.n8n.url}/webhook-waiting/{waiting(stage, before).id}"
    answers = {}
    for kind, request in forgeries(stage, job_id).items():
        answers[kind] = httpx.post(resume_url, **request, timeout=30, trust_env=False).status_code
        waiting(stage, before)
    assert answers.pop("no JSON") >= 400
    assert set(answers.values()) == {401}, answers
    gate.set()
    execution = stage.n8n.one(SUBMIT, "success", after=before)
    assert WORDS in execution.outputs("Result")[0]["transcript"].lower()
    verdicts = [each["verdict"] for each in execution.outputs("Verify the webhook")]
    assert verdicts == ["refused"] * len(answers) + ["verified"]


def test_jobs_failure_is_the_executions_with_the_reason(stage: Stage) -> None:
    before = new(stage, SUBMIT)
    assert stage.submit(stage.source("cut.mp4")).status_code == 202
    execution = stage.n8n.one(SUBMIT, "error", after=before)
    assert "failed" in execution.error
    assert "truncated" in execution.error


def test_what_the_hub_refuses_is_told_to_the_caller_with_its_reason(stage: Stage) -> None:
    before = new(stage, SUBMIT)
    refused = stage.submit("https://user:secret@example.com/talk.mp4")
    assert refused.status_code == 502
    assert "source" in refused.json()["message"]
    assert "user name" in stage.n8n.one(SUBMIT, "error", after=before).error


def test_caller_without_the_token_is_refused(stage: Stage) -> None:
    before = new(stage, SUBMIT)
    answered = httpx.post(stage.n8n.webhook("nca-submit"), json={"source": "gs://a/b.mp4"}, trust_env=False)
    assert answered.status_code == 401
    assert stage.n8n.one(SUBMIT, "success", after=before).outputs("Submit") == []


def test_short_file_is_asked_for_and_needs_no_webhook(stage: Stage) -> None:
    before = new(stage, SUBMIT)
    accepted = stage.submit(stage.source("short.wav"), wait_seconds=60).json()
    assert accepted["state"] == "succeeded"
    execution = stage.n8n.one(SUBMIT, "success", after=before)
    assert WORDS in execution.outputs("Result")[0]["transcript"].lower()
    assert execution.outputs("Ask the hub") == []
    assert stage.job(accepted["job_id"])["webhook_url"] is None


def test_short_file_that_takes_longer_is_asked_for_again(stage: Stage) -> None:
    gate, before = Event(), new(stage, SUBMIT)
    assert stage.submit(stage.source("short.wav", gate), wait_seconds=1).json()["state"] != "succeeded"
    gate.set()
    execution = stage.n8n.one(SUBMIT, "success", after=before)
    assert execution.outputs("Ask the hub") != []
    assert execution.outputs("Verify the webhook") == []


def test_webhook_that_does_not_come_is_not_waited_for_for_ever(stage: Stage) -> None:
    gate, before = Event(), new(stage, IMPATIENT)
    stage.submit(stage.source("short.wav", gate), IMPATIENT)
    stage.n8n.one(IMPATIENT, "waiting", after=before)
    # n8n looks once a minute for what has waited long enough.
    stage.n8n.one(IMPATIENT, "running", after=before)
    gate.set()
    execution = stage.n8n.one(IMPATIENT, "success", after=before)
    assert [each["verdict"] for each in execution.outputs("Verify the webhook")] == ["silent"]
    assert WORDS in execution.outputs("Result")[0]["transcript"].lower()
