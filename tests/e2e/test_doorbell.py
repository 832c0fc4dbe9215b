"""The bell, the slots, the lanes, and the overflow to GKE."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local.assets import Assets
from local.cloud import local_cloud
from local.profile import Profile
from shared.events import JobMessage
from shared.job import Job
from shared.slots import COUNT_AGE_SECONDS
from tests.e2e.driver import Driver
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


def test_ten_bells_at_once_with_two_slots_start_two_executions(steady: Driver, recordings: Path) -> None:
    # Both executions hold their first job, so nothing is picked up that could silence the bell.
    held = [steady.announced(recordings / "short.wav", fault="hold", times=1) for _ in range(2)]
    for job_id in held:
        steady.running(job_id)
    waiting = steady.announced(recordings / "short.wav")
    job = steady.until(waiting, lambda job: job.state == "queued", "queued")
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: _ring(steady, job), range(10))) == {429}
    running = [execution for execution in steady.cloud.jobs.running() if "gpu" in execution.name]
    assert len(running) == 2
    for job_id in held:
        (steady.faults / job_id / "release").touch()
    for job_id in (*held, waiting):
        assert steady.ended(job_id).state == "succeeded"


def test_a_high_job_waits_for_one_that_runs_and_for_no_other(steady: Driver, recordings: Path) -> None:
    held = [steady.announced(recordings / "short.wav", fault="hold", times=1) for _ in range(2)]
    for job_id in held:
        steady.running(job_id)
    normal = [steady.announced(recordings / "short.wav") for _ in range(3)]
    for job_id in normal:
        steady.until(job_id, lambda job: job.state == "queued", "queued")
    high = steady.announced(recordings / "short.wav", priority="high")
    log = steady.cloud.logs / "on_upload.log"
    eventually(lambda: any("job.sent" in line and high in line for line in log.read_text().splitlines()), "it is sent")
    # One of the two workers has its place free.
    (steady.faults / held[0] / "release").touch()
    job = steady.ended(high)
    assert (job.state, job.priority) == ("succeeded", "high")
    before = [each for each in normal if (begun := steady.job(each).started_at) and begun < job.started_at]
    assert before == []
    (steady.faults / held[1] / "release").touch()
    for job_id in (*held, *normal):
        done = steady.ended(job_id)
        assert (done.state, done.attempts_counted) == ("succeeded", 1), done


def test_a_high_job_of_the_cpu_has_places_of_its_own(steady: Driver, recordings: Path) -> None:
    probe = {"operations": ["probe"]}
    places = steady.cloud.profile.cpu_concurrency
    held = [steady.announced(recordings / "short.wav", fault="hold", times=1, **probe) for _ in range(places)]
    for job_id in held:
        steady.running(job_id)
    waiting = steady.announced(recordings / "short.wav", **probe)
    assert steady.ended(steady.announced(recordings / "short.wav", **probe, priority="high")).state == "succeeded"
    assert steady.job(waiting).state == "queued"
    for job_id in held:
        (steady.faults / job_id / "release").touch()
    for job_id in (*held, waiting):
        assert steady.ended(job_id).state == "succeeded"


@pytest.fixture(params=[True, False], ids=["gke", "no-gke"])
def overflowing(request: pytest.FixtureRequest, assets: Assets, tmp_path: Path) -> Iterator[Driver]:
    profile = Profile(
        model=assets.model,
        enable_gke_route=request.param,
        commands={"gpu": ("python", "-m", "tests.e2e.faulty_worker", "gpu", "drain")},
        extra={"FAULTS": str(tmp_path)},
    )
    with local_cloud(profile) as cloud:
        yield Driver(cloud, tmp_path)


def test_with_the_only_slot_taken_the_next_upload_overflows_to_gke_or_waits(
    overflowing: Driver, recordings: Path
) -> None:
    first = overflowing.announced(recordings / "short.wav", fault="hold", times=1)
    overflowing.running(first)
    # Routing may go by a count of slots taken just before the first job took its own.
    taken = time.monotonic()
    eventually(lambda: time.monotonic() - taken > COUNT_AGE_SECONDS, "the old count is forgotten", within_s=10)
    second = overflowing.upload(recordings / "short.mp4")
    if overflowing.cloud.profile.enable_gke_route:
        job = overflowing.ended(second)
        assert (job.state, job.destination) == ("succeeded", "gpu-tasks-gke"), job
        assert "slot" in job.reason
        assert overflowing.job(first).state == "running"
    else:
        job = overflowing.until(second, lambda job: job.state == "queued", "queued")
        assert job.destination == "gpu-tasks"
        # A ring of the bell finds no slot, and starts nothing.
        assert _ring(overflowing, job) == 429
        assert len(overflowing.cloud.jobs.running()) == 1
        assert overflowing.job(second).state == "queued"
    (overflowing.faults / first / "release").touch()
    for job_id in (first, second):
        assert overflowing.ended(job_id).state == "succeeded"


def _ring(driver: Driver, job: Job) -> int:
    message = JobMessage(job_id=job.job_id, submission=job.submission).encode()
    body = {"message": {"data": base64.b64encode(message).decode(), "messageId": "1"}, "subscription": "s"}
    bell = f"{driver.cloud.endpoints.function('dispatch')}/bell"
    return httpx.post(bell, json=body, trust_env=False, timeout=60).status_code
