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
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2
from google.rpc import code_pb2

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
        self._processes = processes
        self._log_dir = log_dir
        self._max_running = max_running
        self._grace_s = grace_s
        #: By full name, here and below.
        self._jobs = {f"projects/{project}/locations/{region}/jobs/{job.name}": job for job in jobs}
        self._executions: dict[str, JobExecution] = {}
        #: What each operation that runs an execution waits for.
        self._operations: dict[str, JobExecution] = {}
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

    def running_counts(self) -> dict[str, int]:
        """How many executions of each job have not ended, by the job's short name."""
        running = Counter(execution.job.name for execution in self.running())
        with self._lock:
            return {job.name: running[job.name] for job in self._jobs.values()}

    def completed_counts(self) -> Counter[tuple[str, str]]:
        """How many executions of each job have ended, by the job's short name and `succeeded` or `failed`."""
        counts: Counter[tuple[str, str]] = Counter()
        with self._lock:
            for job in self._jobs.values():
                counts.update({(job.name, "succeeded"): 0, (job.name, "failed"): 0})
            for execution in self._executions.values():
                if execution.completed is not None:
                    has_succeeded = execution.count("succeeded") == execution.job.task_count
                    counts[execution.job.name, "succeeded" if has_succeeded else "failed"] += 1
        return counts

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
            return _done_operation(name, job_message(name, self._jobs[name], []))

    def _get_job(self, request: Any) -> Any:
        with self._lock:
            return job_message(request.name, self._job(request.name), self._executions_of(request.name))

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
        name = f"{job_name}/executions/{short}"
        execution = JobExecution(name, job, self._processes, log=self._log_dir / f"{short}.log", grace_s=self._grace_s)
        self._executions[name] = execution
        operation = _operation_name(name)
        self._operations[operation] = execution
        return _operation(operation, execution)

    def _get_execution(self, request: Any) -> Any:
        return execution_message(self._execution(request.name))

    def _list_executions(self, request: Any) -> Any:
        with self._lock:
            self._job(request.parent)
            newest_first = self._executions_of(request.parent)[::-1]
        shown, token = page(newest_first, size=request.page_size, token=request.page_token)
        executions = [execution_message(execution) for execution in shown]
        return run_v2.ListExecutionsResponse.pb()(executions=executions, next_page_token=token)

    def _cancel_execution(self, request: Any) -> Any:
        execution = self._execution(request.name)
        if execution.completed is not None:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "The execution has completed and cannot be cancelled.")
        execution.cancel()
        return _done_operation(request.name, execution_message(execution))

    def _get_operation(self, request: Any) -> Any:
        with self._lock:
            execution = self._operations.get(request.name)
        if execution is None:
            raise not_found(request.name)
        return _operation(request.name, execution)

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

    def _executions_of(self, job_name: str) -> list[JobExecution]:
        prefix = f"{job_name}/executions/"
        return [execution for name, execution in self._executions.items() if name.startswith(prefix)]


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


def _operation(name: str, execution: JobExecution) -> Any:
    # Read before the message is made: an operation that is done shows an execution that is.
    done = execution.completed is not None
    message = execution_message(execution)
    answer = operations_pb2.Operation(name=name, metadata=_packed(message), done=done)
    if done and execution.count("succeeded") == execution.job.task_count:
        answer.response.CopyFrom(_packed(message))
    elif done:
        answer.error.code = code_pb2.CANCELLED if execution.is_cancelled else code_pb2.UNKNOWN
        answer.error.message = execution.message() or "The execution was cancelled."
    return answer


def _done_operation(resource: str, message: Any) -> Any:
    packed = _packed(message)
    return operations_pb2.Operation(name=_operation_name(resource), metadata=packed, done=True, response=packed)


def _operation_name(resource: str) -> str:
    return f"{resource.partition('/jobs/')[0]}/operations/{uuid.uuid4()}"


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
