"""Every way in, and every destination, on a whole local cloud."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from shared.events import UploadedObject
from tests.e2e.driver import Driver, verify_webhook
from tests.fakes.loopback import receiving
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
