"""Would a broken promise be seen? Histories that may not be, and the faults that strike where they were planned."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.job import Job
from tests.chaos.calls import Call, function_call, rpc_call, storage_call
from tests.chaos.faults import Fault, Plan, Way
from tests.chaos.journal import Journal
from tests.unit.samples import NO_LUCK, NOON, OUTCOME, job

JOB = job()
RUNNING = JOB.leased("worker/1", NOON)
TAKEN_OVER = RUNNING.leased("worker/2", NOON)


def _outcome(of: Job, attempt: int) -> Job:
    folder = f"gs://results/{of.job_id}/{attempt}/"
    return of.succeeded(OUTCOME.model_copy(update={"folder": folder}), (), NOON)


DONE = _outcome(RUNNING, 1)
CANCELLED = RUNNING.cancelled(NOON)
REDRIVEN = CANCELLED.redriven(NOON)

HISTORIES: dict[str, tuple[Sequence[Job], str]] = {
    "as it should be": ((JOB, RUNNING, DONE), ""),
    "renewed, handed back, taken again": (
        (JOB, RUNNING, RUNNING, RUNNING.handed_back(NOON), TAKEN_OVER, _outcome(TAKEN_OVER, 2)),
        "",
    ),
    "cancelled and redriven": ((JOB, RUNNING, CANCELLED, REDRIVEN, REDRIVEN.leased("worker/2", NOON)), ""),
    "the outcome of who lost the lease": ((JOB, RUNNING, TAKEN_OVER, DONE), "an outcome of another attempt"),
    "an outcome over a failure": ((JOB, RUNNING, RUNNING.failed(NO_LUCK, NOON), DONE), "an illegal step"),
    "two ends": ((JOB, RUNNING, DONE, RUNNING, RUNNING.failed(NO_LUCK, NOON)), "submission 1 ended 2 times"),
    "an outcome over a cancel": ((JOB, RUNNING, CANCELLED, DONE), "an outcome after the end"),
    "work without a lease": ((JOB, DONE), "an illegal step"),
}


@pytest.mark.parametrize(("history", "fault"), HISTORIES.values(), ids=HISTORIES.keys())
def test_a_history_that_may_not_be_is_named(history: Sequence[Job], fault: str) -> None:
    journal = Journal()
    journal.records[JOB.job_id] = dict(enumerate(history))
    found = journal.faults_of(JOB.job_id)
    assert bool(found) == bool(fault), found
    assert any(each.startswith(fault) for each in found or [""])


def test_an_artifact_written_after_the_commit_is_named() -> None:
    journal = Journal()
    journal.artifacts |= {"j/1/early": [5], "j/1/again": [5, 9], "k/1/other": [9]}
    assert journal.written_after("j/1/", 7) == ["j/1/again"]


NAMES = {
    "storage write local-state jobs/*.json": storage_call(
        "POST",
        "/upload/storage/v1/b/local-state/o?uploadType=multipart&ifGenerationMatch=0",
        {"content-type": "multipart/related; boundary=xx"},
        b'--xx\r\ncontent-type: a\r\n\r\n{"name": "jobs/%s.json"}\r\n--xx\r\n\r\n{}\r\n--xx--' % JOB.job_id.encode(),
        1,
    ),
    "storage read local-state jobs/*.json": storage_call(
        "GET", f"/download/storage/v1/b/local-state/o/jobs%2F{JOB.job_id}.json?alt=media", {}, b"", 1
    ),
    "storage list local-state open/": storage_call("GET", "/storage/v1/b/local-state/o?prefix=open%2F", {}, b"", 1),
    "dispatch POST /task": function_call("dispatch", "POST", "/task", f'{{"job_id": "{JOB.job_id}"}}'.encode(), 1),
    "pubsub Publish gpu-tasks": rpc_call(
        "pubsub", "/google.pubsub.v1.Publisher/Publish", b"\n\x1fprojects/local-hub/topics/gpu-tasks\x12", 1
    ),
}


@pytest.mark.parametrize(("name", "call"), NAMES.items(), ids=NAMES.keys())
def test_a_call_has_a_name_without_ids(name: str, call: Call) -> None:
    assert call.point == name
    assert call.job in (None, JOB.job_id)


def test_a_fault_strikes_the_calls_it_was_planned_for_and_no_other() -> None:
    mine, other = Call("storage", "write", "jobs/1", "1", 1, b"succeeded"), Call("storage", "write", "jobs/2", "2", 1)
    plan = Plan()
    plan.add(Fault("storage write .*", Way.CUT, nth=2, times=2, job="1", having=b"succeeded"))
    struck = [plan.fault_for(call) is not None for call in (mine, other, mine, other, mine, mine)]
    assert struck == [False, False, True, False, True, False]
