"""Faults 20–22, 24 and 25: machines that lack a GPU, memory, disk, time, or the right time."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

from local.functions import ROOT, python_environment
from tests.chaos.catalogue import scenario
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Hub, own_attempts
from tests.waiting import eventually

_CPU_JOB = "nca-toolkit-cpu-job"
#: A worker is fresh for its first minute.
_NOT_FRESH = timedelta(seconds=61)


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


@scenario(22, promises=(5,), is_cheap=True, parts=("by the estimate",))
def what_fits_no_attempt_fails_at_once(hub: Hub) -> None:
    for operation in ("loudness", "transcribe"):
        job = hub.ended(hub.announced(operations=[operation], trouble="long", ends=frozenset({"failed"})))
        assert job.failure is not None
        assert (job.failure.code, own_attempts(job)) == ("too_long", 1)


@scenario(22, promises=(1, 5, 6), parts=("reports", "hears nothing"))
def work_outlasts_its_attempt(hub: Hub) -> None:
    """What reports is ended in time; what hears nothing is put down over its head, and killed by the platform."""
    with hub.short_tasks(40):
        ids = {
            (operation, trouble): hub.announced(
                operations=[operation], trouble=trouble, has_hook=True, ends=frozenset({"failed"})
            )
            for operation in ("transcribe", "probe")
            for trouble in ("hold", "stone")
        }
        for what, job_id in ids.items():
            job = hub.ended(job_id, within_s=90)
            assert job.failure is not None
            assert (job.failure.code, job.attempts_counted) == ("too_long", 1), (what, job)
            assert "40 s" in job.failure.message
        eventually(lambda: not hub.cloud.jobs.running_counts().get(_CPU_JOB), "the deaf one is killed", within_s=60)


@scenario(22, promises=(1, 5), parts=("a later job",))
def a_worker_s_time_runs_out_amid_a_later_job(hub: Hub) -> None:
    """A fresh process has more time: handed back, uncounted."""
    with hub.short_tasks(115):
        first = hub.announced(operations=["transcribe"], trouble="hold")
        begun = hub.at_work(first).started_at
        assert begun is not None
        # By the clock: its worker is no longer fresh, and has time left to take another.
        eventually(lambda: hub.cloud.services.now() - begun > _NOT_FRESH, "a minute", within_s=70)
        # Nobody else is there to take it.
        no_room = Fault("jobs RunJob .*gpu-job", Way.REFUSE_429, times=1000, least=0)
        hub.put(no_room)
        later = hub.announced(operations=["transcribe"], trouble="hold")
        hub.at_work(later)
        hub.plan.planned.remove(no_room)
        hub.release(first)
        assert hub.ended(first).attempt == 1
        job = hub.ended(later, within_s=90)
        assert (job.state, job.attempts_counted) == ("succeeded", 1), job
        assert job.attempt >= 2, job


@scenario(22, promises=(1, 5, 6), parts=("hangs",))
def a_worker_hangs_until_its_time_is_up_every_time(hub: Hub) -> None:
    """Its beat hangs, too, so that the lease expires and the attempt counts; the platform's SIGKILL is its end."""
    with hub.short_tasks(4, is_known=False):
        ids = [hub.announced(operations=[operation], trouble="hang", times=5) for operation in ("transcribe", "probe")]
        for job_id in ids:
            job = hub.ended(job_id, within_s=200)
            assert (job.state, job.attempts_counted) == ("dead_lettered", 5), job
            assert job.failure is not None
            assert job.failure.code == "worker_lost"


@scenario(24, promises=(5,), is_cheap=True, parts=("in the engine",))
def the_disk_is_full(hub: Hub) -> None:
    job = hub.ended(hub.announced(operations=["probe"], trouble="disk"))
    assert (job.state, own_attempts(job)) == ("succeeded", 2), job


@scenario(24, promises=(3, 5), parts=("during the fetch",))
def the_disk_fills_while_the_source_is_fetched(hub: Hub) -> None:
    """Another takes the room after it was looked at: the download meets the end of the disk."""
    path = hub.media.long_wav("fetched", 300_000)
    job = hub.ended(hub.announced(path=path, operations=["probe"], trouble="filling-disk"))
    assert (job.state, job.attempts_counted) == ("succeeded", 2), job
    assert [each.failure.code for each in job.attempts if each.failure] == ["disk_full"]


@scenario(24, promises=(3, 5), parts=("while artifacts are written",))
def the_disk_fills_while_artifacts_are_written(hub: Hub) -> None:
    job_id, enter = hub.ticket(hub.media.wav(0), ["probe"], None)
    hub.happen(job_id, "small-disk")
    hub.happen(job_id, "large-results")
    enter()
    job = hub.ended(hub.note(job_id))
    assert (job.state, job.attempts_counted) == ("succeeded", 2), job
    assert [each.failure.code for each in job.attempts if each.failure] == ["disk_full"]


@scenario(25, promises=(1, 4))
def the_workers_clocks_disagree(hub: Hub) -> None:
    """GPU workers are ahead and CPU workers behind, and the other way round: leases go by storage's clock alone."""
    for seconds in (3_600, -86_400):
        hub.empty_gpu()
        hub.skew(seconds)
        held = hub.announced(operations=["transcribe"], trouble="hold")
        other = hub.announced(operations=["probe"], trouble="hold")
        for job_id, sign in ((held, 1), (other, -1)):
            begun = hub.at_work(job_id).started_at
            assert begun is not None
            wrong = (begun - hub.cloud.services.now()).total_seconds()
            assert abs(wrong - sign * seconds) < 60, f"the worker's clock is wrong by {wrong} s"
        hub.outlast()
        for job_id in (held, other):
            hub.release(job_id)
            job = hub.ended(job_id)
            assert (job.state, job.attempt) == ("succeeded", 1), job
