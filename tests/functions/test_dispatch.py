"""`dispatch`: bells start executions as slots allow, CPU tasks are held while their job runs, the sweep sweeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.errors import Misconfigured, Unauthorized, Unavailable
from shared.executions import NotStarted
from shared.job import State
from tests.fakes.executions import Execution
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import change, event, on_the_cpu, record, serving, submitted
from tests.waiting import eventually

BELL = event("pubsub_push_bell.json")
TASK = event("cpu_task.json")
#: A right task, but for its size.
HUGE = json.dumps(TASK).encode() + b" " * 1_000_000


@pytest.fixture
def dispatch(everything: FakeServices) -> Iterator[FlaskClient]:
    with serving("dispatch", everything) as client:
        yield client


def ring(client: FlaskClient) -> int:
    return client.post("/bell", json=BELL).status_code


def task(client: FlaskClient) -> int:
    return client.post("/task", json=TASK).status_code


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.event for line in caplog.records if hasattr(line, "event")]


def test_bell_starts_an_execution_that_knows_its_slot_and_rings_on(
    dispatch: FlaskClient, everything: FakeServices
) -> None:
    submitted(everything)
    assert ring(dispatch) == 429
    (execution,) = everything.executions.started
    assert (execution.job, execution.region) == ("nca-toolkit-gpu-job", "us-east4")
    assert execution.environment["GPU_SLOT"] == "0"
    assert everything.slots.held(0, execution.environment["GPU_SLOT_TOKEN"]) is not None


def test_ten_rings_of_one_job_start_one_execution(dispatch: FlaskClient, everything: FakeServices) -> None:
    submitted(everything)
    assert [ring(dispatch) for _ in range(10)] == [429] * 10
    assert len(everything.executions.started) == 1 < everything.settings.max_gpu_executions


@pytest.mark.parametrize(
    "steps", [("leased",), ("leased", "succeeded"), ("leased", "failed"), ("cancelled",), ("cancelled", "redriven")]
)
def test_bell_falls_silent_once_the_job_is_picked_up_over_or_redriven(
    dispatch: FlaskClient, everything: FakeServices, steps: tuple[str, ...]
) -> None:
    job = submitted(everything)
    change(everything, job.job_id, *steps)
    assert ring(dispatch) == 204
    assert everything.executions.started == []


def test_bell_of_a_job_nobody_knows_falls_silent(dispatch: FlaskClient, everything: FakeServices) -> None:
    assert ring(dispatch) == 204
    assert everything.executions.started == []


def test_job_under_an_expired_lease_waits_again(dispatch: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "leased")
    everything.clock.advance(everything.settings.lease_seconds + 1)
    assert ring(dispatch) == 429
    assert len(everything.executions.started) == 1


@pytest.mark.parametrize(
    ("error", "status", "slots"),
    [
        (NotStarted("no room"), 429, 0),
        (Misconfigured("refused"), 500, 0),
        # It may have started one: the slot stays taken until that execution frees it, or it expires.
        (Unavailable("no answer"), 503, 1),
    ],
)
def test_slot_is_free_again_only_when_certainly_nothing_was_started(
    dispatch: FlaskClient, everything: FakeServices, error: Exception, status: int, slots: int
) -> None:
    submitted(everything)
    everything.faults.fail_next("executions.start", error)
    assert ring(dispatch) == status
    assert len(everything.objects.names("state", "slots/gpu/")) == slots


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[" * 10_000, b'{"message": {"data": "bm8gam9i", "messageId": "1"}}', b"\xff\xfe", HUGE],
    ids=lambda body: repr(body)[:40],
)
def test_bell_that_names_no_job_is_acknowledged_and_logged(
    dispatch: FlaskClient, everything: FakeServices, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert dispatch.post("/bell", data=body).status_code == 204
    assert events(caplog) == ["bell.malformed"]


def test_bell_without_its_record_readable_is_503(dispatch: FlaskClient, everything: FakeServices) -> None:
    submitted(everything)
    everything.faults.fail_next("objects.read jobs/", Unavailable("down"))
    assert ring(dispatch) == 503


def test_task_starts_one_execution_and_is_held_until_the_job_is_over(
    dispatch: FlaskClient, everything: FakeServices
) -> None:
    job = on_the_cpu(everything)

    def run(execution: Execution) -> None:
        assert execution.environment == {"JOB_ID": job.job_id, "SUBMISSION": "1"}
        change(everything, job.job_id, "leased", "succeeded")
        everything.executions.ended.add(execution.name)

    everything.executions.on_start = run
    assert task(dispatch) == 204
    (execution,) = everything.executions.started
    assert (execution.job, execution.region) == ("nca-toolkit-cpu-job", "us-central1")


@pytest.mark.parametrize("steps", [(), ("leased", "retried")])
def test_task_comes_again_when_its_execution_ended_and_the_job_did_not(
    dispatch: FlaskClient, everything: FakeServices, steps: tuple[str, ...]
) -> None:
    """409 and not 429 or 503: those would slow the whole queue down."""
    job = on_the_cpu(everything)

    def run(execution: Execution) -> None:
        change(everything, job.job_id, *steps)
        everything.executions.ended.add(execution.name)

    everything.executions.on_start = run
    assert task(dispatch) == 409


def test_repeated_task_waits_for_the_live_lease_instead_of_starting_another(
    dispatch: FlaskClient, everything: FakeServices
) -> None:
    job = on_the_cpu(everything)
    change(everything, job.job_id, "leased")
    seen_before = len(everything.faults.calls)

    def finish() -> None:
        eventually(lambda: len(everything.faults.calls) >= seen_before + 2)
        change(everything, job.job_id, "succeeded")

    worker = threading.Thread(target=finish)
    worker.start()
    assert task(dispatch) == 204
    worker.join()
    assert everything.executions.started == []


@pytest.mark.parametrize("steps", [("cancelled",), ("cancelled", "redriven"), ("leased", "succeeded")])
def test_task_of_a_job_that_is_over_or_redriven_is_done(
    dispatch: FlaskClient, everything: FakeServices, steps: tuple[str, ...]
) -> None:
    job = on_the_cpu(everything)
    change(everything, job.job_id, *steps)
    assert task(dispatch) == 204
    assert everything.executions.started == []


def test_task_after_the_last_attempt_is_given_up(dispatch: FlaskClient, everything: FakeServices) -> None:
    job = on_the_cpu(everything)
    change(everything, job.job_id, *("leased", "retried") * everything.settings.max_attempts)
    assert task(dispatch) == 204
    assert record(everything, job.job_id).state is State.DEAD_LETTERED
    assert len(everything.topics.on("dead-letters")) == 1
    assert everything.executions.started == []


@pytest.mark.parametrize("error", [NotStarted("no room"), Unavailable("no answer")])
def test_task_without_an_execution_is_503(dispatch: FlaskClient, everything: FakeServices, error: Exception) -> None:
    on_the_cpu(everything)
    everything.faults.fail_next("executions.start", error)
    assert task(dispatch) == 503


@pytest.mark.parametrize(
    "body",
    [b"", b"junk", b"{}", b'{"job_id": "../x", "submission": 1}', b"[" * 10_000, HUGE],
    ids=lambda body: repr(body)[:40],
)
def test_task_that_names_no_job_becomes_a_letter_and_is_done(
    dispatch: FlaskClient, everything: FakeServices, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"X-CloudTasks-TaskName": "a-task"}
    assert dispatch.post("/task", data=body, headers=headers).status_code == 204
    assert events(caplog) == ["task.malformed", "message.unreadable"]
    (published,) = everything.topics.on("dead-letters")
    letter = json.loads(published.data)
    assert (letter["code"], letter["message_id"]) == ("unreadable", "a-task")
    assert "1000000" in letter["reason"] if body == HUGE else letter["data"] == body.decode()


def test_task_that_names_no_job_comes_again_until_its_letter_is_safe(
    dispatch: FlaskClient, everything: FakeServices
) -> None:
    everything.faults.fail_next("topics.publish dead-letters", Unavailable("down"))
    assert [dispatch.post("/task", data=b"junk").status_code for _ in range(2)] == [503, 204]
    assert len(everything.topics.on("dead-letters")) == 1


def test_scheduler_sweeps_a_job_whose_message_was_lost(dispatch: FlaskClient, everything: FakeServices) -> None:
    everything.faults.fail_next("topics.publish", Unavailable("down"))
    with pytest.raises(Unavailable):
        submitted(everything)
    everything.clock.advance(everything.settings.grace_seconds + 1)
    assert dispatch.post("/sweep", json=event("scheduler_sweep.json")).status_code == 204
    assert len(everything.topics.on("gpu-tasks")) == 1


def test_paths_are_three(dispatch: FlaskClient) -> None:
    answer = dispatch.post("/bells", json=BELL)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(("path", "body"), [("/bell", BELL), ("/task", TASK), ("/sweep", {}), ("/other", {})])
def test_strangers_are_refused_before_anything_is_read(path: str, body: dict[str, Any]) -> None:
    class Nobody:
        def verify(self, authorization: str | None) -> None:
            raise Unauthorized("this endpoint takes calls with an OIDC bearer token only")

    everything = fake_services(callers=Nobody())
    with serving("dispatch", everything) as client:
        assert client.post(path, json=body).status_code == 401
    assert everything.faults.calls == []
