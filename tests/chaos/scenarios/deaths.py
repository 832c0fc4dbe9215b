"""Faults 17–19 and 26: workers that are stopped, killed, or asleep for longer than their lease."""

from __future__ import annotations

from contextlib import suppress

from tests.chaos.catalogue import scenario
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Hub, own_attempts
from tests.waiting import eventually

#: The boundaries of one attempt, as calls; for some only what their body holds tells which it is.
_STAGES = (
    ("the lease", r"storage write local-state jobs/.*", b'"state":"running"'),
    ("the source", r"storage read local-(uploads|results) .*", b""),
    ("an artifact", r"storage write local-results .*", b""),
    ("the outcome", r"storage write local-state jobs/.*", b'"state":"succeeded"'),
    ("the webhook's task", r"tasks CreateTask webhooks", b""),
    ("the marker", r"storage delete local-state open/.*", b""),
)


@scenario(17, promises=(1, 5), parts=("SIGTERM",))
def a_worker_is_stopped_and_hands_its_job_back(hub: Hub) -> None:
    ids = [hub.announced(operations=[operation], trouble="hold") for operation in ("transcribe", "probe")]
    for job_id in ids:
        hub.at_work(job_id)
    for execution in hub.cloud.jobs.running():
        execution.cancel()
    for job_id in ids:
        job = hub.ended(job_id)
        assert (job.state, job.attempts_counted) == ("succeeded", 1), job
        assert job.attempt >= 2


@scenario(17, promises=(1, 5), has_gke=True, parts=("SIGTERM to a pod",))
def a_pod_is_stopped_and_hands_its_job_back(hub: Hub) -> None:
    job_id = hub.posted(operations=["transcribe"], wish="gke", trouble="hold")
    hub.at_work(job_id)
    stopped = hub.pods()
    hub.stop_workers()
    job = hub.ended(job_id, within_s=90)
    assert (job.state, job.attempts_counted, job.destination) == ("succeeded", 1, "gpu-tasks-gke"), job
    assert job.attempt >= 2, job
    assert all(pod.wait(15) is not None for pod in stopped)


@scenario(17, promises=(1, 5), parts=("SIGKILL",))
def a_worker_that_does_not_hear_is_killed_10_s_later(hub: Hub) -> None:
    ids = [hub.announced(operations=[operation], trouble="deaf") for operation in ("transcribe", "probe")]
    for job_id in ids:
        hub.driver.running(job_id)
    running = hub.cloud.jobs.running()
    for execution in running:
        execution.cancel()
    for job_id in ids:
        # Its beat hands the job back while the work itself hears nothing.
        job = hub.ended(job_id)
        assert (job.state, job.attempts_counted) == ("succeeded", 1), job
    for execution in running:
        assert execution.wait(15)


@scenario(18, promises=(1, 3, 4), parts=("CPU worker",))
def a_cpu_worker_is_killed_at_each_boundary(hub: Hub) -> None:
    _kill_everywhere(hub, "probe")


@scenario(18, promises=(1, 3, 4), parts=("GPU worker",))
def a_gpu_worker_is_killed_at_each_boundary(hub: Hub) -> None:
    _kill_everywhere(hub, "transcribe")


@scenario(18, promises=(1, 3, 4), has_gke=True, parts=("pod",))
def a_pod_is_killed_before_its_outcome(hub: Hub) -> None:
    """Once: each further death has its successor wait twice as long. What fits no execution comes here, too."""
    hub.put(Fault(r"storage write local-state jobs/.*", Way.KILL_BEFORE, having=b'"state":"succeeded"'))
    killed = hub.ended(hub.posted(operations=["transcribe"], wish="gke", has_hook=True), within_s=90)
    assert (killed.state, killed.attempts_counted) == ("succeeded", 2), killed
    moved = hub.ended(hub.announced(operations=["transcribe"], trouble="long"), within_s=90)
    assert (moved.state, moved.destination) == ("succeeded", "gpu-tasks-gke"), moved


@scenario(18, promises=(1, 4))
def a_gpu_worker_is_killed_around_its_acknowledgement(hub: Hub) -> None:
    for way in (Way.KILL_BEFORE, Way.KILL_AFTER):
        hub.put(Fault("pubsub Acknowledge gpu-work", way))
        job = hub.ended(hub.upload(operations="transcribe"))
        assert (job.state, job.attempt) == ("succeeded", 1), job
        eventually(lambda: not hub.plan.waiting(), "the kill", within_s=20)


@scenario(19, promises=(1, 5), is_cheap=True)
def a_worker_runs_out_of_memory(hub: Hub) -> None:
    """The kernel kills it (137), or its interpreter is told."""
    told = hub.announced(operations=["probe"], trouble="memory")
    killed = hub.announced(operations=["probe"], trouble="oom")
    # A kill is a lost worker.
    for job_id, attempts in ((told, 2), (killed, 1)):
        job = hub.ended(job_id)
        assert (job.state, own_attempts(job)) == ("succeeded", attempts), job
    assert hub.ended(killed).attempts_counted >= 2


@scenario(26, promises=(3, 4), parts=("worker",))
def a_worker_wakes_up_after_its_lease_was_taken(hub: Hub) -> None:
    for operation in ("probe", "transcribe"):
        hub.put(Fault(r"storage write local-results .*", Way.PAUSE, seconds=6.0))
        job = hub.ended(hub.upload(operations=operation, has_hook=True))
        assert job.attempt >= 2, job
        assert job.outcome is not None
        assert job.outcome.folder.endswith(f"/{job.attempt}/")
    # Nobody is asleep any more: what the sleepers wrote since is there to be judged.
    eventually(lambda: hub.plan.due == 0, "all are awake")


@scenario(26, promises=(3, 4), has_gke=True, parts=("pod",))
def a_pod_wakes_up_after_its_lease_was_taken(hub: Hub) -> None:
    # Three jobs want two pods: one is to fall asleep, the other to take over.
    held = [hub.posted(operations=["transcribe"], wish="gke", trouble="hold") for _ in range(3)]
    eventually(lambda: len(hub.pods()) == 2, "two pods", within_s=30)
    for job_id in held:
        hub.at_work(job_id)
    hub.put(Fault(r"storage write local-results .*", Way.PAUSE, seconds=8.0))
    victim = hub.ended(hub.posted(operations=["transcribe"], wish="gke", has_hook=True), within_s=90)
    assert victim.attempt >= 2, victim
    assert victim.outcome is not None
    assert victim.outcome.folder.endswith(f"/{victim.attempt}/")
    for job_id in held:
        hub.release(job_id)
        assert hub.ended(job_id, within_s=90).state == "succeeded"
    eventually(lambda: hub.plan.due == 0, "all are awake")


def _kill_everywhere(hub: Hub, operation: str) -> None:
    for way in (Way.KILL_BEFORE, Way.KILL_AFTER):
        hub.plan.clear()
        for _, at, having in _STAGES:
            hub.put(Fault(at, way, having=having))
        for job_id in [hub.upload(operations=operation, has_hook=True) for _ in range(4)]:
            assert hub.ended(job_id).state == "succeeded"
        # Of two that ended at once, one may have been dead already when it was to be killed: it takes another job.
        for _ in range(4):
            if not _are_all_struck(hub):
                assert hub.ended(hub.upload(operations=operation, has_hook=True)).state == "succeeded"
        assert _are_all_struck(hub), hub.plan.struck


def _are_all_struck(hub: Hub) -> bool:
    with suppress(AssertionError):
        return eventually(lambda: not hub.plan.waiting(), within_s=10)
    return False
