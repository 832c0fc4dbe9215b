"""The Cloud Run Jobs stand-in, as the real clients and the jobs' own processes see it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.api_core import exceptions as api
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

from local.execution import LocalJob
from local.jobs import CloudRunJobs
from local.processes import Processes
from tests.waiting import eventually

PARENT = "projects/p/locations/r"
JOB = f"{PARENT}/jobs/worker"
#: Writes down its arguments and environment, then does as CODE says.
WORKER = """
import json, os, sys, time
env = {name: value for name, value in os.environ.items() if name != "LOCAL_CLOUD_LEASH"}
name = "-".join((os.environ["CLOUD_RUN_TASK_INDEX"], os.environ["CLOUD_RUN_TASK_ATTEMPT"]))
with open(f"{os.environ['SEEN']}/{name}.{os.getpid()}", "w") as file:
    json.dump({"argv": sys.argv[1:], "env": env}, file)
os.rename(file.name, os.path.splitext(file.name)[0])
print("task", name, flush=True)
exec(os.environ.get("CODE", ""))
"""
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(os.environ['SEEN'] + '/deaf', 'w')"


@dataclass(frozen=True)
class CloudRun:
    service: CloudRunJobs
    jobs: run_v2.JobsClient
    executions: run_v2.ExecutionsClient
    seen: Path

    def run(self, code: str = "", **overrides: Any) -> Any:
        """Start an execution whose task runs this Python; answers the client's operation."""
        env = [run_v2.EnvVar(name="CODE", value=code)]
        container = run_v2.RunJobRequest.Overrides.ContainerOverride(env=env, **overrides.pop("container", {}))
        request = run_v2.RunJobRequest(name=JOB, overrides={"container_overrides": [container], **overrides})
        return self.jobs.run_job(request=request)

    def execution(self, operation: Any) -> run_v2.Execution:
        return self.executions.get_execution(name=operation.metadata.name)

    def ended(self, operation: Any) -> run_v2.Execution:
        eventually(lambda: self.execution(operation).completion_time)
        return self.execution(operation)

    def tries(self) -> list[str]:
        return sorted(path.name for path in self.seen.iterdir() if path.name.count("-") == 1 and not path.suffix)

    def saw(self, task: str = "0-0") -> dict[str, Any]:
        eventually((self.seen / task).exists)
        return dict(json.loads((self.seen / task).read_text()))


Start = Callable[..., CloudRun]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the service with one job; LocalJob's fields may be given."""
    with Processes() as processes:
        clouds = []

        @contextmanager
        def running(grace_s: float, max_running: int | None, **fields: Any) -> Iterator[CloudRun]:
            seen = tmp_path / "seen"
            seen.mkdir()
            env = {"SEEN": str(seen), "BASE": "1"}
            argv = (sys.executable, "-S", "-c", WORKER)
            job = LocalJob("worker", argv, **{"env": env, "max_retries": 0, "args": ("drain",), **fields})
            with (
                CloudRunJobs(
                    processes,
                    project="p",
                    region="r",
                    jobs=[job],
                    log_dir=tmp_path,
                    grace_s=grace_s,
                    max_running=max_running,
                ) as service,
                grpc.insecure_channel(service.address) as channel,
            ):
                jobs = run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel))
                executions = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))
                yield CloudRun(service, jobs, executions, seen)

        def start(*, grace_s: float = 5, max_running: int | None = None, **fields: Any) -> CloudRun:
            clouds.append(running(grace_s, max_running, **fields))
            return clouds[-1].__enter__()

        yield start
        for cloud in clouds:
            cloud.__exit__(None, None, None)


def condition(execution: run_v2.Execution) -> tuple[str, str]:
    (completed,) = execution.conditions
    assert completed.type_ == "Completed"
    return completed.state.name, completed.execution_reason.name


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


def test_task_sees_its_jobs_environment_the_overrides_and_cloud_runs_variables(start: Start) -> None:
    cloud = start()
    operation = cloud.run()
    assert cloud.ended(operation).succeeded_count == 1
    seen = cloud.saw()
    assert seen["argv"] == ["drain"]
    env = {name: value for name, value in seen["env"].items() if name != "LC_CTYPE"}
    assert env == {
        "SEEN": str(cloud.seen),
        "BASE": "1",
        "CODE": "",
        "CLOUD_RUN_JOB": "worker",
        "CLOUD_RUN_EXECUTION": operation.metadata.name.rpartition("/")[2],
        "CLOUD_RUN_TASK_INDEX": "0",
        "CLOUD_RUN_TASK_COUNT": "1",
        "CLOUD_RUN_TASK_ATTEMPT": "0",
    }


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


def test_failing_task_is_tried_again_with_its_attempt_number(start: Start) -> None:
    cloud = start(max_retries=3)
    operation = cloud.run("sys.exit(0 if os.environ['CLOUD_RUN_TASK_ATTEMPT'] == '2' else 1)")
    execution = cloud.ended(operation)
    assert cloud.tries() == ["0-0", "0-1", "0-2"]
    assert (execution.succeeded_count, execution.failed_count, execution.retried_count) == (1, 0, 1)
    assert Path(execution.log_uri.removeprefix("file://")).read_text() == "task 0-0\ntask 0-1\ntask 0-2\n"


def test_task_that_keeps_failing_fails_the_execution(start: Start) -> None:
    cloud = start(max_retries=1)
    operation = cloud.run("sys.exit(5)")
    execution = cloud.ended(operation)
    assert cloud.tries() == ["0-0", "0-1"]
    assert (execution.succeeded_count, execution.failed_count, execution.retried_count) == (0, 1, 1)
    assert condition(execution) == ("CONDITION_FAILED", "NON_ZERO_EXIT_CODE")
    assert "exited with code 5" in execution.conditions[0].message
    with pytest.raises(api.GoogleAPICallError, match="exited with code 5"):
        operation.result(timeout=10)


def test_task_killed_from_outside_is_tried_again(start: Start) -> None:
    cloud = start(max_retries=1)
    operation = cloud.run("if os.environ['CLOUD_RUN_TASK_ATTEMPT'] == '0': time.sleep(1000)")
    cloud.saw("0-0")
    (running,) = cloud.service.running()
    (pid,) = running.pids()
    psutil.Process(pid).kill()
    execution = cloud.ended(operation)
    assert (execution.succeeded_count, execution.retried_count) == (1, 1)


def test_task_beyond_its_timeout_is_terminated_and_has_failed_even_if_it_then_exits_with_0(start: Start) -> None:
    cloud = start(timeout_s=0.5)
    code = "import signal; signal.signal(signal.SIGTERM, lambda *_: (print('SIGTERM', flush=True), os._exit(0)))"
    operation = cloud.run(f"{code}; time.sleep(1000)")
    execution = cloud.ended(operation)
    assert execution.failed_count == 1
    assert "timeout" in execution.conditions[0].message
    assert Path(execution.log_uri.removeprefix("file://")).read_text() == "task 0-0\nSIGTERM\n"


def test_task_that_ignores_sigterm_is_killed_after_the_grace_time(start: Start) -> None:
    cloud = start(grace_s=0.2)
    operation = cloud.run(f"{IGNORE_SIGTERM}; time.sleep(1000)", timeout=timedelta(seconds=0.4))
    started = time.monotonic()
    assert cloud.ended(operation).failed_count == 1
    assert (cloud.seen / "deaf").exists()
    assert 0.3 < time.monotonic() - started < 5


def test_each_retry_has_the_whole_timeout(start: Start) -> None:
    cloud = start(timeout_s=0.6, max_retries=1)
    operation = cloud.run("time.sleep(1000)")
    execution = cloud.ended(operation)
    assert cloud.tries() == ["0-0", "0-1"]
    assert execution.completion_time - execution.start_time >= timedelta(seconds=1.2)


def test_cancelled_execution_ends_without_retries(start: Start) -> None:
    cloud = start(max_retries=3)
    operation = cloud.run("time.sleep(1000)")
    cloud.saw()
    (pid,) = cloud.service.running()[0].pids()
    cloud.executions.cancel_execution(name=operation.metadata.name)
    execution = cloud.ended(operation)
    assert (execution.cancelled_count, execution.failed_count, execution.succeeded_count) == (1, 0, 0)
    assert condition(execution) == ("CONDITION_FAILED", "CANCELLED")
    assert cloud.tries() == ["0-0"]
    assert not psutil.pid_exists(pid)
    with pytest.raises(api.FailedPrecondition):
        cloud.executions.cancel_execution(name=operation.metadata.name)


def test_all_that_a_task_started_goes_with_it(start: Start) -> None:
    cloud = start()
    code = "import subprocess; child = subprocess.Popen(['sleep', '1000'], start_new_session=True); print(child.pid)"
    execution = cloud.ended(cloud.run(code))
    pid = int(Path(execution.log_uri.removeprefix("file://")).read_text().split()[-1])
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_tasks_of_one_execution_run_side_by_side(start: Start) -> None:
    cloud = start()
    # Each waits until both are there.
    code = "while len(os.listdir(os.environ['SEEN'])) < 2: time.sleep(0.01)"
    execution = cloud.ended(cloud.run(code, task_count=2))
    assert (execution.task_count, execution.succeeded_count) == (2, 2)
    assert [cloud.saw(task)["env"]["CLOUD_RUN_TASK_COUNT"] for task in ("0-0", "1-0")] == ["2", "2"]


def test_program_that_is_missing_fails_the_execution_in_words(start: Start) -> None:
    cloud = start(cwd=Path("/no/such/folder"))
    execution = cloud.ended(cloud.run())
    assert execution.failed_count == 1
    assert "/no/such/folder" in execution.conditions[0].message


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


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    job = LocalJob("worker", ("sleep", "1000"), env=os.environ)
    with Processes() as processes:
        service = CloudRunJobs(processes, project="p", region="r", jobs=[job], log_dir=tmp_path, grace_s=1)
        with grpc.insecure_channel(service.address) as channel:
            run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel)).run_job(name=JOB)
        (running,) = service.running()
        eventually(running.pids)
        (pid,) = running.pids()
        service.close()
        assert service.running() == []
        assert not psutil.pid_exists(pid)
