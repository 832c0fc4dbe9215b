"""Cloud Run Jobs on one machine: google.cloud.run.v2's Jobs and Executions over gRPC, for the real clients.

    job = LocalJob("cpu-worker", (sys.executable, "-m", "workers.cpu"), env=env, timeout_s=900, max_retries=0)
    with CloudRunJobs(processes, project="p", region="r", jobs=[job], log_dir=logs) as cloud_run:
        channel = grpc.insecure_channel(cloud_run.address)
        jobs = JobsClient(transport=JobsGrpcTransport(channel=channel))
        executions = ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))

Like the real one: overrides of env (merged), args (replaced), task count and timeout; the CLOUD_RUN variables; task
timeout, SIGTERM, SIGKILL after 10 s; retries; counts, times and conditions; operations that end with the execution;
no request id, so that a lost answer may have started an execution.
Not like it: retries follow at once, starting takes no time, a task's process has the machine's CPU and memory to
itself, and nothing is kept over a restart. Update, delete, list of jobs and IAM are UNIMPLEMENTED.
https://cloud.google.com/run/docs/reference/rpc/google.cloud.run.v2
"""

from __future__ import annotations

import secrets
import string
import threading
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2

from local.execution import GRACE_S, JobExecution, LocalJob
from local.processes import Processes
from local.rpc import Method, Refusal, RpcServer, not_found, page
from local.run_messages import execution_message, job_message, local_job

_SUFFIX: Final = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class _Failure:
    status: grpc.StatusCode
    started: bool


class CloudRunJobs:
    """The service on a loopback port (0: any): the jobs declared, and their executions."""

    def __init__(
        self,
        processes: Processes,
        *,
        project: str,
        region: str,
        jobs: Iterable[LocalJob] = (),
        log_dir: Path,
        port: int = 0,
        max_running: int | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._parent = f"projects/{project}/locations/{region}"
        self._processes = processes
        self._log_dir = log_dir
        self._max_running = max_running
        self._grace_s = grace_s
        #: By full name, here and below.
        self._jobs = {f"{self._parent}/jobs/{job.name}": job for job in jobs}
        self._executions: dict[str, JobExecution] = {}
        #: Operation's name → execution's full name.
        self._operations: dict[str, str] = {}
        self._failures: deque[_Failure] = deque()
        self._lock = threading.RLock()
        services = {
            "google.cloud.run.v2.Jobs": {
                "CreateJob": Method(run_v2.CreateJobRequest, self._create_job),
                "GetJob": Method(run_v2.GetJobRequest, self._get_job),
                "RunJob": Method(run_v2.RunJobRequest, self._run_job),
            },
            "google.cloud.run.v2.Executions": {
                "GetExecution": Method(run_v2.GetExecutionRequest, self._get_execution),
                "ListExecutions": Method(run_v2.ListExecutionsRequest, self._list_executions),
                "CancelExecution": Method(run_v2.CancelExecutionRequest, self._cancel_execution),
            },
            "google.longrunning.Operations": {
                "GetOperation": Method(operations_pb2.GetOperationRequest, self._get_operation),
            },
        }
        self._server = RpcServer(services, port=port)

    @property
    def address(self) -> str:
        """For `grpc.insecure_channel`."""
        return self._server.address

    def fail_next(self, status: grpc.StatusCode, *, started: bool) -> None:
        """Answer the next RunJob that has no failure planned yet with this status, with or without starting it."""
        self._failures.append(_Failure(status, started))

    def running(self) -> list[JobExecution]:
        """The executions that have not ended."""
        with self._lock:
            return [execution for execution in self._executions.values() if execution.completed is None]

    def close(self) -> None:
        """Stop answering, cancel what runs, and wait for it."""
        self._server.close()
        running = self.running()
        for execution in running:
            execution.cancel()
        for execution in running:
            execution.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create_job(self, request: Any) -> Any:
        name = f"{request.parent}/jobs/{request.job_id}"
        with self._lock:
            if name in self._jobs:
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Resource '{request.job_id}' already exists.")
            self._jobs[name] = local_job(request.job_id, request.job)
            return self._done_operation(self._job_message(name))

    def _get_job(self, request: Any) -> Any:
        with self._lock:
            return self._job_message(request.name)

    def _run_job(self, request: Any) -> Any:
        with self._lock:
            job = _overridden(self._job(request.name), request.overrides)
            if self._max_running is not None and len(self.running()) >= self._max_running:
                raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded for running executions.")
            failure = self._failures.popleft() if self._failures else None
            if failure is not None and not failure.started:
                raise Refusal(failure.status, "Failure injected: no execution was started.")
            operation = self._start(request.name, job)
            if failure is not None:
                raise Refusal(failure.status, "Failure injected: an execution was started all the same.")
            return operation

    def _start(self, job_name: str, job: LocalJob) -> Any:
        short = f"{job.name}-{''.join(secrets.choice(_SUFFIX) for _ in range(5))}"
        log = self._log_dir / f"{short}.log"
        name = f"{job_name}/executions/{short}"
        self._executions[name] = JobExecution(short, job, self._processes, log=log, grace_s=self._grace_s)
        operation = f"{self._parent}/operations/{uuid.uuid4()}"
        self._operations[operation] = name
        return self._operation(operation)

    def _get_execution(self, request: Any) -> Any:
        return execution_message(request.name, self._execution(request.name))

    def _list_executions(self, request: Any) -> Any:
        with self._lock:
            self._job(request.parent)
            names = [name for name in reversed(self._executions) if name.startswith(f"{request.parent}/executions/")]
        shown, token = page(names, size=request.page_size, token=request.page_token)
        executions = [execution_message(name, self._execution(name)) for name in shown]
        return run_v2.ListExecutionsResponse.pb()(executions=executions, next_page_token=token)

    def _cancel_execution(self, request: Any) -> Any:
        execution = self._execution(request.name)
        if execution.completed is not None:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "The execution has completed and cannot be cancelled.")
        execution.cancel()
        return self._done_operation(execution_message(request.name, execution))

    def _get_operation(self, request: Any) -> Any:
        return self._operation(request.name)

    def _operation(self, operation: str) -> Any:
        with self._lock:
            name = self._operations.get(operation)
        if name is None:
            raise not_found(operation)
        execution = self._execution(name)
        # Read before the message is made: an operation that is done shows an execution that is.
        done = execution.completed is not None
        message = execution_message(name, execution)
        answer = operations_pb2.Operation(name=operation, metadata=_packed(message), done=done)
        if done and execution.count("succeeded") == execution.job.task_count:
            answer.response.CopyFrom(_packed(message))
        elif done:
            answer.error.code = grpc.StatusCode.CANCELLED.value[0] if execution.is_cancelled else _UNKNOWN
            answer.error.message = execution.message() or "The execution was cancelled."
        return answer

    def _done_operation(self, message: Any) -> Any:
        name = f"{self._parent}/operations/{uuid.uuid4()}"
        packed = _packed(message)
        return operations_pb2.Operation(name=name, metadata=packed, done=True, response=packed)

    def _job(self, name: str) -> LocalJob:
        job = self._jobs.get(name)
        if job is None:
            raise not_found(name)
        return job

    def _execution(self, name: str) -> JobExecution:
        with self._lock:
            execution = self._executions.get(name)
        if execution is None:
            raise not_found(name)
        return execution

    def _job_message(self, name: str) -> Any:
        mine = [other for other in self._executions if other.startswith(f"{name}/executions/")]
        latest = (mine[-1], self._executions[mine[-1]]) if mine else None
        return job_message(name, self._job(name), executions=len(mine), latest=latest)


_UNKNOWN: Final = grpc.StatusCode.UNKNOWN.value[0]


def _overridden(job: LocalJob, overrides: Any) -> LocalJob:
    env, args = dict(job.env), job.args
    for container in overrides.container_overrides:
        env.update((variable.name, variable.value) for variable in container.env)
        if container.args or container.clear_args:
            args = tuple(container.args)
    return replace(
        job,
        env=env,
        args=args,
        task_count=overrides.task_count or job.task_count,
        timeout_s=overrides.timeout.ToTimedelta().total_seconds() or job.timeout_s,
    )


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
