"""The Cloud Run Jobs stand-in's API, as the real clients see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.api_core import exceptions as api
from google.cloud import run_v2

from tests.contract.cloud_run import JOB, PARENT, WORKER, CloudRun, cloud_run, condition

Start = Callable[..., CloudRun]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the service, until the test ends."""
    with ExitStack() as stack:
        yield lambda **fields: stack.enter_context(cloud_run(tmp_path, **fields))


def test_execution_runs_to_success(start: Start) -> None:
    cloud = start()
    operation = cloud.run()
    name = operation.metadata.name
    assert name.startswith(f"{JOB}/executions/worker-")
    assert len(name.rpartition("-")[2]) == 5
    execution = cloud.ended(operation)
    assert (execution.running_count, execution.succeeded_count, execution.failed_count) == (0, 1, 0)
    assert condition(execution) == ("CONDITION_SUCCEEDED", "EXECUTION_REASON_UNDEFINED")
    assert execution.start_time <= execution.completion_time
    assert execution.job == "worker"
    assert Path(execution.log_uri.removeprefix("file://")).read_text() == "task 0-0\n"
    # The client's own way of waiting.
    assert operation.result(timeout=10).succeeded_count == 1


def test_overrides_merge_the_environment_and_replace_the_arguments_for_one_execution(start: Start) -> None:
    cloud = start()
    container = run_v2.RunJobRequest.Overrides.ContainerOverride(
        env=[run_v2.EnvVar(name="BASE", value="2"), run_v2.EnvVar(name="JOB_ID", value="j")], args=["a", "b"]
    )
    request = run_v2.RunJobRequest(name=JOB, overrides={"container_overrides": [container]})
    cloud.ended(cloud.jobs.run_job(request=request))
    seen = cloud.saw()
    assert seen["argv"] == ["a", "b"]
    assert (seen["env"]["BASE"], seen["env"]["JOB_ID"]) == ("2", "j")
    cloud.ended(cloud.run())
    again = cloud.saw()
    assert again["argv"] == ["drain"]
    assert again["env"]["BASE"] == "1"
    assert "JOB_ID" not in again["env"]


def test_arguments_can_be_cleared(start: Start) -> None:
    cloud = start()
    cloud.ended(cloud.run(container={"clear_args": True}))
    assert cloud.saw()["argv"] == []


def test_running_execution_says_so(start: Start) -> None:
    cloud = start()
    operation = cloud.run("time.sleep(1000)")
    execution = cloud.execution(operation)
    assert (execution.running_count, execution.succeeded_count) == (1, 0)
    assert not execution.completion_time
    assert condition(execution) == ("CONDITION_RECONCILING", "EXECUTION_REASON_UNDEFINED")
    assert not operation.done()


@pytest.mark.parametrize("started", [True, False])
def test_lost_answer_may_have_started_an_execution(start: Start, started: bool) -> None:
    cloud = start()
    cloud.service.fail_next(grpc.StatusCode.UNAVAILABLE, started=started)
    with pytest.raises(api.ServiceUnavailable):
        cloud.run()
    assert len(list(cloud.executions.list_executions(parent=JOB))) == int(started)
    cloud.run()
    assert len(list(cloud.executions.list_executions(parent=JOB))) == 1 + int(started)


def test_failures_are_used_up_in_order(start: Start) -> None:
    cloud = start()
    cloud.service.fail_next(grpc.StatusCode.RESOURCE_EXHAUSTED, started=False)
    cloud.service.fail_next(grpc.StatusCode.UNAVAILABLE, started=True)
    with pytest.raises(api.ResourceExhausted):
        cloud.run()
    with pytest.raises(api.ServiceUnavailable):
        cloud.run()
    assert cloud.ended(cloud.run()).succeeded_count == 1


def test_no_more_executions_run_than_the_limit(start: Start) -> None:
    cloud = start(max_running=1)
    first = cloud.run("time.sleep(1000)")
    with pytest.raises(api.ResourceExhausted):
        cloud.run()
    cloud.executions.cancel_execution(name=first.metadata.name)
    cloud.ended(first)
    assert cloud.ended(cloud.run()).succeeded_count == 1


def test_executions_are_listed_newest_first_in_pages(start: Start) -> None:
    cloud = start()
    names = [cloud.run().metadata.name for _ in range(5)]
    pages = cloud.executions.list_executions(request={"parent": JOB, "page_size": 2}).pages
    assert [[execution.name for execution in page.executions] for page in pages] == [
        names[4:2:-1],
        names[2:0:-1],
        names[:1],
    ]


def test_job_is_shown_with_its_limits_and_its_newest_execution(start: Start) -> None:
    cloud = start(timeout_s=900, max_retries=3)
    name = cloud.run().metadata.name
    job = cloud.jobs.get_job(name=JOB)
    assert job.template.template.max_retries == 3
    assert job.template.template.timeout == timedelta(seconds=900)
    assert job.execution_count == 1
    assert job.latest_created_execution.name == name
    # The environment may hold secrets of the developer's: it is not shown.
    assert not job.template.template.containers[0].env


def test_job_is_created_by_the_client(start: Start) -> None:
    cloud = start()
    container = run_v2.Container(
        command=[sys.executable, "-S", "-c", WORKER],
        args=["x"],
        env=[run_v2.EnvVar(name="SEEN", value=str(cloud.seen))],
    )
    template = run_v2.TaskTemplate(containers=[container], max_retries=0, timeout=timedelta(seconds=60))
    job = run_v2.Job(template=run_v2.ExecutionTemplate(template=template))
    made = cloud.jobs.create_job(parent=PARENT, job=job, job_id="made").result(timeout=10)
    assert made.name == f"{PARENT}/jobs/made"
    operation = cloud.jobs.run_job(name=made.name)
    assert cloud.ended(operation).succeeded_count == 1
    assert cloud.saw()["argv"] == ["x"]
    with pytest.raises(api.AlreadyExists):
        cloud.jobs.create_job(parent=PARENT, job=job, job_id="made")
    with pytest.raises(api.InvalidArgument):
        cloud.jobs.create_job(parent=PARENT, job=run_v2.Job(), job_id="imageless")


def test_what_is_not_there_is_not_found(start: Start) -> None:
    cloud = start()
    with pytest.raises(api.NotFound):
        cloud.jobs.run_job(name=f"{PARENT}/jobs/none")
    with pytest.raises(api.NotFound):
        cloud.jobs.get_job(name=f"{PARENT}/jobs/none")
    with pytest.raises(api.NotFound):
        cloud.executions.get_execution(name=f"{JOB}/executions/none")
    with pytest.raises(api.NotFound):
        cloud.executions.list_executions(parent=f"{PARENT}/jobs/none")
