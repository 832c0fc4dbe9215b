"""Every way in, and every destination, on a whole local cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.events import UploadedObject
from tests.e2e.driver import Driver, verify_webhook
from tests.fakes.loopback import receiving
from tests.spans import read, traces, tree
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("name", "destination"),
    [("short.mp4", "gpu-tasks"), ("short.mov", "gpu-tasks"), ("short.wav", "gpu-tasks"), ("short.mp3", "cpu-tasks")],
)
def test_an_upload_goes_its_way_and_comes_back_as_text(
    hub: Driver, recordings: Path, name: str, destination: str
) -> None:
    job = hub.ended(hub.upload(recordings / name))
    assert (job.state, job.destination, job.attempt) == ("succeeded", destination, 1), job
    assert list(job.machine_seconds) == ["cpu-job" if destination == "cpu-tasks" else "gpu-job"]
    assert b"it was the best of times" in hub.artifact(job, "transcript.txt").lower()
    assert b"WEBVTT" in hub.artifact(job, "transcript.vtt")
    assert json.loads(hub.artifact(job, "probe.json"))
    if name != "short.mp3" and name != "short.wav":
        assert hub.artifact(job, "thumbnails/0001.jpg").startswith(b"\xff\xd8")


def test_a_post_with_prefer_wait_answers_with_the_result(hub: Driver, recordings: Path) -> None:
    first = hub.ended(hub.upload(recordings / "short.wav", "posted.wav"))
    asked = {"source": first.source.uri, "operations": ["probe"], "id": "mine"}
    answer = hub.api("POST", "/v1/jobs", json=asked, headers={"Prefer": "wait=60"})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["state"], shown["id"], shown["destination"]) == ("succeeded", "mine", "cpu-tasks")
    links = {made["name"]: made["url"] for made in shown["artifacts"]}
    redirect = hub.api("GET", links["probe.json"].removeprefix(hub.cloud.url))
    assert redirect.status_code == 302
    assert httpx.get(redirect.headers["Location"], trust_env=False).json()


def test_an_announced_upload_becomes_the_job_that_was_promised(hub: Driver, recordings: Path) -> None:
    job_id = hub.announced(recordings / "short.mp4", operations=["thumbnails"], id="ticket")
    job = hub.ended(job_id)
    assert (job.state, job.id, job.caller) == ("succeeded", "ticket", "local")
    assert {made.name for made in job.outcome.artifacts} >= {"thumbnails/0001.jpg"}


def test_text_in_a_video_s_clothes_is_refused_with_what_was_found(hub: Driver, recordings: Path) -> None:
    job = hub.ended(hub.upload(recordings / "text.mp4"))
    assert (job.state, job.failure.code, job.attempt) == ("failed", "unsupported_media", 0)
    assert "text" in job.failure.message


def test_a_truncated_video_fails_clearly_and_is_not_tried_again(hub: Driver, recordings: Path) -> None:
    job = hub.ended(hub.upload(recordings / "cut.mp4"))
    assert (job.state, job.failure.code, job.attempts_counted) == ("failed", "truncated", 1), job
    assert "truncated" in job.failure.message


def test_the_same_event_twice_is_one_job(hub: Driver, recordings: Path) -> None:
    job_id = hub.upload(recordings / "short.wav", "twice.wav")
    job = hub.ended(job_id)
    bucket, name = job.source.bucket_and_name
    event = UploadedObject(bucket=bucket, name=name, generation=job.source.generation, size=job.file.size)
    headers = {
        "ce-id": "again",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
    }
    body = event.model_dump(by_alias=True)
    answer = httpx.post(
        hub.cloud.endpoints.function("on_upload"), headers=headers, json=body, trust_env=False, timeout=30
    )
    assert answer.status_code == 200, answer.text
    again = hub.ended(job_id)
    assert (again.attempt, again.finished_at) == (job.attempt, job.finished_at)
    listed = hub.api("GET", "/v1/jobs?limit=100").json()["jobs"]
    assert [each["job_id"] for each in listed if each["source"].endswith("/twice.wav")] == [job_id]


def test_a_webhook_comes_signed_and_once(hub: Driver, recordings: Path) -> None:
    with receiving("/hook") as receiver:
        job_id = hub.upload(recordings / "short.mp3", webhook_url=receiver.url, operations="probe")
        job = hub.ended(job_id)
        headers, body = eventually(lambda: receiver.requests, "the webhook", within_s=30)[0]
        event = verify_webhook(hub.cloud.profile.webhook_secret, headers, body)
        assert (event["job_id"], event["type"], event["message"]) == (job_id, "job.succeeded", "success")
        tried = hub.until(job_id, lambda job: bool(job.webhook_tries), "the try is noted", within_s=30)
        assert [made.status for made in tried.webhook_tries] == [200]
        assert len(receiver.requests) == 1
    assert job.state == "succeeded"


def test_no_log_of_the_whole_cloud_tells_a_secret(hub: Driver, recordings: Path) -> None:
    hub.ended(hub.announced(recordings / "short.wav", operations=["probe"]))
    text = "".join(path.read_text(errors="replace") for path in hub.cloud.logs.glob("*.log"))
    assert "job.submitted" in text
    assert "job.succeeded" in text
    profile = hub.cloud.profile
    for secret in (profile.api_key, profile.webhook_secret, profile.alert_token, "upload_id=", "times of"):
        assert secret not in text, secret


def test_a_jobs_story_has_every_hop_from_the_upload_to_its_webhook(hub: Driver, recordings: Path) -> None:
    with receiving("/hook") as receiver:
        job_id = hub.upload(recordings / "short.mp3", "told.mp3", webhook_url=receiver.url, operations="probe")
        hub.ended(job_id)
        hub.until(job_id, lambda job: bool(job.webhook_tries), "the try is noted", within_s=30)

    def told() -> dict[str, Any] | None:
        story: dict[str, Any] = json.loads(hub.hubctl("story", job_id, "--logs", str(hub.cloud.logs), "--json"))
        logged = {hop["event"] for hop in story["hops"] if not hop["is_from_record"]}
        return story if {"webhook.delivered", "job.closed"} <= logged else None

    story = eventually(told, "the story's end", within_s=30)
    events = [hop["event"] for hop in story["hops"]]
    once = ["job.submitted", "job.sent", "execution.started", "job.started", "job.artifacts", "job.succeeded"]
    assert sorted(event for event in events if event in once) == sorted(once)
    # Who hands a job on may tell of it later than the next one begins: the lines of one process have an order.
    for own in (once[:2], once[3:]):
        assert [event for event in events if event in own] == own
    assert "job.stage" in events
    assert not any(hop["is_from_record"] for hop in story["hops"])
    assert story["trace"] == hub.job(job_id).traceparent.split("-")[1]


def test_spans_of_functions_queues_and_workers_are_one_tree_for_each_job(hub: Driver, recordings: Path) -> None:
    file = Path(hub.cloud.profile.extra["TRACES"])
    with receiving("/hook") as receiver:
        by_queue = hub.upload(recordings / "short.mp3", "spans.mp3", webhook_url=receiver.url, operations="probe")
        by_bell = hub.upload(recordings / "short.wav", "spans.wav")
        for job_id in (by_queue, by_bell):
            assert hub.ended(job_id).state == "succeeded"

        def tree_of(job_id: str, *expected: tuple[str, str]) -> bool:
            """Of a span that has not ended nothing is written yet, and its children are orphans until then."""
            trace = f"0x{hub.job(job_id).traceparent.split('-')[1]}"
            try:
                return set(expected) <= tree(traces(read(file))[trace])
            except AssertionError:
                return False

        worked = [("job.attempt", "job.fetch"), ("job.attempt", "job.process"), ("job.attempt", "job.upload")]
        through_queue = [
            ("job.submit", "job.publish"),
            ("job.publish", "dispatch.task"),
            ("dispatch.task", "execution.start"),
            ("execution.start", "job.attempt"),
            ("job.submit", "job.conclude"),
            ("job.conclude", "webhook.deliver"),
        ]
        eventually(lambda: tree_of(by_queue, *worked, *through_queue), "the CPU job's tree", within_s=30)
        through_bell = [("job.publish", "dispatch.bell"), ("job.publish", "job.attempt")]
        eventually(lambda: tree_of(by_bell, *worked, *through_bell), "the GPU job's tree", within_s=60)
    # Whichever job's bell it was that started the execution.
    started = {("dispatch.bell", "execution.start"), ("execution.start", "worker.start")}
    everything = traces(read(file)).values()
    assert any(started <= tree(spans) for spans in everything if "worker.start" in {each["name"] for each in spans})
