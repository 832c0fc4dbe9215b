"""Faults 20–22, 24 and 25: machines that lack a GPU, memory, disk, time, or the right time."""

from __future__ import annotations

import subprocess
import sys

from local.functions import ROOT, python_environment
from tests.chaos.catalogue import scenario
from tests.chaos.hub import Hub


@scenario(20, promises=(5,))
def the_gpu_s_memory_is_full(hub: Hub) -> None:
    """The engine's own smaller batches are tests/unit/media/test_speech_batches.py's; this is when none fits."""
    job = hub.ended(hub.announced(operations=["transcribe"], trouble="gpu-memory"))
    assert (job.state, job.attempts_counted) == ("succeeded", 2), job


@scenario(21, promises=(1, 5))
def a_worker_without_the_gpu_it_needs_takes_nothing(hub: Hub) -> None:
    env = {**python_environment(), **hub.cloud.environment, "REQUIRE_GPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "workers.gpu", "drain"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "worker.no_gpu" in done.stderr, done.stderr
    assert done.returncode == 1
    job = hub.ended(hub.upload(operations="transcribe"))
    assert (job.state, job.attempts_counted) == ("succeeded", 1)


@scenario(22, promises=(5,), is_cheap=True)
def what_fits_no_attempt_fails_at_once(hub: Hub) -> None:
    for operation in ("loudness", "transcribe"):
        job = hub.ended(hub.announced(operations=[operation], trouble="long", ends=frozenset({"failed"})))
        assert job.failure is not None
        assert (job.failure.code, job.attempts_counted) == ("too_long", 1)


@scenario(24, promises=(5,), is_cheap=True)
def the_disk_is_full(hub: Hub) -> None:
    job = hub.ended(hub.announced(operations=["probe"], trouble="disk"))
    assert (job.state, job.attempts_counted) == ("succeeded", 2), job


@scenario(25, promises=(1, 4))
def the_workers_clocks_disagree(hub: Hub) -> None:
    """GPU workers are ahead and CPU workers behind, and the other way round: leases go by storage's clock alone."""
    for seconds in (3_600, -86_400):
        hub.empty_gpu()
        hub.skew(seconds)
        held = hub.announced(operations=["transcribe"], trouble="hold")
        other = hub.announced(operations=["probe"], trouble="hold")
        for job_id in (held, other):
            hub.at_work(job_id)
        hub.outlast()
        for job_id in (held, other):
            hub.release(job_id)
            job = hub.ended(job_id)
            assert (job.state, job.attempt) == ("succeeded", 1), job
