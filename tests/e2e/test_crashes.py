"""Workers that die, are stopped, or never start; a submit that dies half-way: every job ends, once."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from shared.job import Job, Source
from shared.store import JobStore, Marker
from tests.e2e.driver import Driver
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


def test_a_worker_killed_in_the_middle_costs_one_attempt_and_no_job(fragile: Driver, recordings: Path) -> None:
    job_id = fragile.announced(recordings / "short.mp4", fault="kill", times=1)
    job = fragile.ended(job_id)
    assert (job.state, job.attempts_counted, job.attempt) == ("succeeded", 2, 2), job
    assert job.outcome.folder.endswith(f"/{job_id}/2/")


def test_an_execution_that_dies_before_its_first_pull_is_followed_by_another(fragile: Driver, recordings: Path) -> None:
    eventually(lambda: not fragile.workers("faulty_worker"), "no worker is left", within_s=60)
    # The Job's own retries die, too: only another bell can help.
    for number in range(4):
        (fragile.faults / f"start.{number}").touch()
    job = fragile.ended(fragile.announced(recordings / "short.wav"))
    assert (job.state, job.attempts_counted) == ("succeeded", 1), job
    assert not list(fragile.faults.glob("start.*"))


def test_a_stopped_worker_hands_its_job_back_uncounted(fragile: Driver, recordings: Path) -> None:
    job_id = fragile.announced(recordings / "short.mp4", fault="hold", times=1)
    fragile.running(job_id)
    eventually(lambda: fragile.job(job_id).progress is not None, "it is at work")
    fragile.signal_workers(signal.SIGTERM)
    job = fragile.ended(job_id)
    assert (job.state, job.attempts_counted) == ("succeeded", 1), job
    # A second worker that was asked to leave, too, may have had it in its hands for a moment.
    assert job.attempt >= 2, job


@pytest.mark.parametrize("name", ["short.mp4", "short.mp3"])
def test_a_job_that_kills_every_worker_becomes_a_dead_letter_and_can_be_redriven(
    fragile: Driver, recordings: Path, name: str
) -> None:
    # So that its letter is the first of a storm: later ones wait for the summary.
    fragile.cloud.services.objects.delete(fragile.cloud.services.settings.state_bucket, "storms/dead-letters")
    job_id = fragile.announced(recordings / name, fault="kill", times=5)
    job = fragile.until(job_id, lambda job: job.state.is_terminal, "given up", within_s=180)
    assert (job.state, job.attempts_counted, job.failure.code) == ("dead_lettered", 5, "worker_lost"), job
    letters = eventually(lambda: _letters(fragile, job_id), "the letter is kept", within_s=30)
    assert len(letters) == 1
    eventually(lambda: job_id in [_job_of(alert) for alert in fragile.n8n.bodies], "n8n hears of it", within_s=30)
    # An attempt that lost its lease before it met its fault left that one behind.
    fragile.mend(job_id)
    answer = fragile.api("POST", f"/v1/jobs/{job_id}:redrive")
    assert answer.status_code == 202, answer.text
    again = fragile.ended(job_id)
    assert (again.state, again.submission, again.attempts_counted) == ("succeeded", 2, 1), again


def test_a_submit_that_died_before_its_message_is_mended_by_the_sweep(fragile: Driver, recordings: Path) -> None:
    done = fragile.ended(fragile.upload(recordings / "short.wav", "half.wav"))
    # The record and marker of another job on the same source, as a crash before the publish leaves them.
    services = fragile.cloud.services
    store: JobStore = services.store
    half = Job.model_validate(
        {
            **done.model_dump(include={"key_hash", "request_hash", "caller", "file", "operations", "destination"}),
            "job_id": "0" * 31 + "1",
            "source": Source(uri=done.source.uri, generation=done.source.generation),
            "explicit": False,
            "reason": "half-way",
            "created_at": services.now(),
            "queued_at": services.now(),
        }
    )
    store.mark_open(Marker.of(half))
    assert store.create(half)
    job = fragile.ended(half.job_id)
    assert (job.state, job.attempts_counted) == ("succeeded", 1), job
    log = fragile.cloud.logs / "dispatch.log"
    eventually(lambda: any("job.resent" in line and half.job_id in line for line in log.read_text().splitlines()))


def test_cancelling_a_running_job_stops_its_worker_soon(fragile: Driver, recordings: Path) -> None:
    job_id = fragile.announced(recordings / "short.mp4", fault="hold", times=1)
    fragile.running(job_id)
    assert fragile.api("POST", f"/v1/jobs/{job_id}:cancel").status_code == 202
    # The held attempt ends by itself, within seconds: the next job is taken by the same worker.
    following = fragile.ended(fragile.announced(recordings / "short.wav"))
    assert following.state == "succeeded"
    job = fragile.ended(job_id)
    assert (job.state, job.outcome) == ("cancelled", None)


def _job_of(alert: dict[str, Any]) -> str:
    return alert["labels"].get("job_id", "")


def _letters(fragile: Driver, job_id: str) -> list[str]:
    state = fragile.cloud.services.settings.state_bucket
    return [name for name in fragile.cloud.services.objects.list(state, prefix="dead-letters/") if job_id in name]
