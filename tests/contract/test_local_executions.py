"""Executions of the Cloud Run Jobs stand-in, as their own processes see them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import grpc
import psutil
import pytest
from google.api_core import exceptions as api
from google.cloud import run_v2
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

from local.execution import LocalJob
from local.jobs import CloudRunJobs
from local.processes import Processes
from tests.contract.cloud_run import IGNORE_SIGTERM, JOB, CloudRun, cloud_run, condition
from tests.waiting import eventually

Start = Callable[..., CloudRun]

#: How long a task may live: the first does, but on a busy machine, where Python may take longer than that to start.
PATIENCE_S = (0.5, 5.0, 30.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the service, until the test ends."""
    with ExitStack() as stack:
        yield lambda **fields: stack.enter_context(cloud_run(tmp_path, **fields))


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
    (pid,) = eventually(running.pids)
    psutil.Process(pid).kill()
    execution = cloud.ended(operation)
    assert (execution.succeeded_count, execution.retried_count) == (1, 1)


def test_task_beyond_its_timeout_is_terminated_and_has_failed_even_if_it_then_exits_with_0(start: Start) -> None:
    cloud = start()
    code = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: (print('SIGTERM', flush=True), os._exit(0)));"
        " print('listens', flush=True); time.sleep(1000)"
    )
    for seconds in PATIENCE_S:
        execution = cloud.ended(cloud.run(code, timeout=timedelta(seconds=seconds)))
        assert execution.failed_count == 1
        assert "timeout" in execution.conditions[0].message
        log = Path(execution.log_uri.removeprefix("file://")).read_text()
        if "listens" in log:
            break
    assert log == "task 0-0\nlistens\nSIGTERM\n"


def test_task_that_ignores_sigterm_is_killed_after_the_grace_time(start: Start) -> None:
    cloud = start(grace_s=0.2)
    for seconds in PATIENCE_S:
        started = time.monotonic()
        operation = cloud.run(f"{IGNORE_SIGTERM}; time.sleep(1000)", timeout=timedelta(seconds=seconds))
        assert cloud.ended(operation).failed_count == 1
        assert time.monotonic() - started >= seconds + 0.2
        if (cloud.seen / "deaf").exists():
            break
    assert (cloud.seen / "deaf").exists()


def test_each_retry_has_the_whole_timeout(start: Start) -> None:
    cloud = start(timeout_s=0.6, max_retries=1)
    operation = cloud.run("time.sleep(1000)")
    execution = cloud.ended(operation)
    assert (execution.failed_count, execution.retried_count) == (1, 1)
    assert execution.completion_time - execution.start_time >= timedelta(seconds=1.2)


def test_cancelled_execution_ends_without_retries(start: Start) -> None:
    cloud = start(max_retries=3)
    operation = cloud.run("time.sleep(1000)")
    cloud.saw()
    (running,) = cloud.service.running()
    (pid,) = eventually(running.pids)
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
    # In the middle of exec it shows no environment, by which it is found.
    code = (
        "import subprocess; child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "while not open(f'/proc/{child.pid}/environ', 'rb').read(): time.sleep(0.01)\n"
        "print(child.pid)"
    )
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
