"""Faults 8–16: what happens between a record and the process that works on it."""

from __future__ import annotations

from contextlib import suppress

from shared.job import Job
from tests.chaos import restarting
from tests.chaos.catalogue import scenario
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Hub, own_attempts
from tests.chaos.scenarios.storage import both
from tests.waiting import eventually

_RECORD = r"storage write local-state jobs/.*"
_PUBLISH = {"transcribe": "pubsub Publish gpu-tasks", "probe": "tasks CreateTask cpu-tasks"}


@scenario(8, promises=(1, 2, 6), parts=("after the record",))
def the_submitter_dies_between_record_and_message(hub: Hub) -> None:
    for operation, publish in _PUBLISH.items():
        for at, way in ((_RECORD, Way.KILL_AFTER), (publish, Way.KILL_BEFORE), (publish, Way.KILL_AFTER)):
            hub.put(Fault(at, way))
            assert hub.ended(hub.upload(operations=operation)).state == "succeeded"
            assert not hub.plan.waiting()


@scenario(8, promises=(1, 2, 6), parts=("before the record",))
def the_submitter_dies_between_marker_and_record(hub: Hub) -> None:
    for at, way in ((r"storage write local-state open/.*", Way.KILL_AFTER), (_RECORD, Way.KILL_BEFORE)):
        hub.put(Fault(at, way))
        assert hub.ended(hub.posted(operations=["probe"])).state == "succeeded"
        assert not hub.plan.waiting()


@scenario(9, promises=(1, 4))
def run_says_503_and_has_started_one(hub: Hub) -> None:
    hub.empty_gpu()
    hub.put(Fault("jobs RunJob .*gpu-job", Way.LOSE_ANSWER), Fault("jobs RunJob .*cpu-job", Way.LOSE_ANSWER))
    for job in both(hub):
        assert job.state == "succeeded"


@scenario(10, promises=(1,))
def run_has_no_room(hub: Hub) -> None:
    hub.empty_gpu()
    hub.put(
        Fault("jobs RunJob .*gpu-job", Way.REFUSE_429, times=3), Fault("jobs RunJob .*cpu-job", Way.REFUSE_429, times=3)
    )
    for job in both(hub):
        assert (job.state, job.attempts_counted) == ("succeeded", 1)


@scenario(11, promises=(2, 4), is_cheap=True)
def a_task_comes_twice_at_once(hub: Hub) -> None:
    hub.put(Fault("dispatch POST /task", Way.TWICE))
    assert own_attempts(hub.ended(hub.upload(operations="probe"))) == 1


@scenario(12, promises=(1, 2))
def a_task_s_name_is_used_again(hub: Hub) -> None:
    # It waits for long enough to be sent by the redrive and by the sweep under names that were used.
    hub.put(Fault("jobs RunJob .*cpu-job", Way.REFUSE_429, times=4), Fault("tasks CreateTask cpu-tasks", Way.TWICE))
    job_id = hub.upload(operations="probe")
    eventually(lambda: hub.job(job_id), "a record")
    assert hub.call("POST", f"/v1/jobs/{job_id}:redrive").status_code == 202
    job = hub.ended(job_id)
    assert (job.state, job.submission, job.attempts_counted) == ("succeeded", 1, 1)


@scenario(13, promises=(2, 4))
def a_message_comes_again_while_its_job_runs(hub: Hub) -> None:
    hub.put(
        Fault("pubsub Publish gpu-tasks", Way.AGAIN_LATER, seconds=1.0),
        Fault("pubsub ModifyAckDeadline .*", Way.REFUSE_429, times=100, least=3),
    )
    job_id = hub.announced(operations=["transcribe"], trouble="hold")
    hub.at_work(job_id)
    # Past the ack deadline, too, which nothing has extended.
    hub.outlast(sweeps=13)
    hub.release(job_id)
    job = hub.ended(job_id)
    assert (job.state, job.attempt) == ("succeeded", 1), job


@scenario(14, promises=(1, 2))
def the_answers_to_pushes_are_lost(hub: Hub) -> None:
    for at in (
        "on_upload POST /",
        "dispatch POST /bell",
        "dispatch POST /task",
        "dead_letter POST /",
        "alert_relay POST /",
        "deliver POST /",
    ):
        hub.put(Fault(at, Way.LOSE_ANSWER, times=2))
    hub.empty_gpu()
    lost = hub.hopeless("probe")
    for job in both(hub, hook=True):
        assert job.state == "succeeded"
    job = hub.ended(lost)
    assert (job.state, job.attempts_counted) == ("dead_lettered", 5)
    eventually(lambda: not hub.plan.waiting(), "every answer was lost", within_s=30)
    assert len(_alerts(hub, job)) == 1


@scenario(15, promises=(5, 6))
def a_dead_letter_comes_twice(hub: Hub) -> None:
    hub.put(Fault("pubsub Publish dead-letters", Way.TWICE), Fault("dead_letter POST /", Way.TWICE))
    job_id = hub.hopeless("transcribe")
    job = hub.ended(job_id)
    assert (job.state, job.attempts_counted) == ("dead_lettered", 5)
    eventually(lambda: _alerts(hub, job), "n8n hears of it", within_s=30)
    eventually(lambda: hub.plan.points["dead_letter POST /"] >= 2, "the letter came twice")
    assert len(_alerts(hub, job)) == 1
    assert hub.call("POST", f"/v1/jobs/{job_id}:redrive").status_code == 202
    hub.note(job_id, redrives=1)
    assert hub.ended(job_id).state == "succeeded"


@scenario(15, promises=(5, 6))
def what_takes_a_dead_letter_in_dies(hub: Hub) -> None:
    """Killed around each of its writes, and restarted: the letter is kept once, and its alert goes out."""
    for at in (r"storage write local-state dead-letters/.*", r"storage write local-state storms/.*"):
        hub.put(Fault(at, Way.KILL_BEFORE), Fault(at, Way.KILL_AFTER))
    hub.put(Fault("pubsub Publish alerts", Way.KILL_BEFORE), Fault("pubsub Publish alerts", Way.KILL_AFTER))
    job = _dead_lettered_with_a_restart(hub)
    if hub.plan.waiting():
        # Of two copies of the letter side by side, the kill for one may have found its caller killed for the other.
        job = _dead_lettered_with_a_restart(hub)
    eventually(lambda: _alerts(hub, job), "n8n hears of it", within_s=60)


def _dead_lettered_with_a_restart(hub: Hub) -> Job:
    """One more letter, with the kills that wait for it and a restart between."""
    job_id = hub.hopeless("probe", has_hook=True)
    restarting.function(hub, "dead_letter")
    job = hub.ended(job_id)
    assert (job.state, job.attempts_counted) == ("dead_lettered", 5)
    with suppress(AssertionError):
        eventually(lambda: not hub.plan.waiting(), "every kill", within_s=30)
    return job


@scenario(16, promises=(1,), is_cheap=True)
def executions_die_before_their_first_pull(hub: Hub) -> None:
    hub.empty_gpu()
    for number in range(3):
        (hub.folder / "faults" / f"start.{number}").touch()
    for job in both(hub):
        assert (job.state, own_attempts(job)) == ("succeeded", 1)
    assert not list((hub.folder / "faults").glob("start.*"))


def _alerts(hub: Hub, job: Job) -> list[object]:
    return [each for each in hub.receiver.at("/n8n") if job.job_id in each.body.decode()]
