"""Jobs and executions as google.cloud.run.v2 shows them."""

from __future__ import annotations

from typing import Any

import grpc
from google.cloud import run_v2

from local.execution import JobExecution, LocalJob
from local.rpc import Refusal

_Condition = run_v2.Condition


def local_job(name: str, job: Any) -> LocalJob:
    """The local job of this short name that a CreateJob request describes.

    Its container needs a command, since there are no images here; else Refusal.
    """
    template = job.template.template
    if len(template.containers) != 1 or not template.containers[0].command:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "A local job needs one container with a command.")
    container = template.containers[0]
    default = LocalJob(name, tuple(container.command))
    return LocalJob(
        name,
        tuple(container.command),
        args=tuple(container.args),
        env={variable.name: variable.value for variable in container.env},
        timeout_s=template.timeout.ToTimedelta().total_seconds() or default.timeout_s,
        max_retries=template.max_retries if template.HasField("max_retries") else default.max_retries,
        task_count=job.template.task_count or default.task_count,
    )


def job_message(name: str, job: LocalJob, executions: list[JobExecution]) -> Any:
    """A protobuf Job of this full name, given its executions, oldest first."""
    message = run_v2.Job.pb()(name=name, execution_count=len(executions), generation=1, observed_generation=1)
    message.template.task_count = job.task_count
    message.template.template.CopyFrom(_task_template(job))
    message.terminal_condition.CopyFrom(_condition("Ready", _Condition.State.CONDITION_SUCCEEDED))
    if executions:
        latest, reference = executions[-1], message.latest_created_execution
        reference.name = latest.name
        reference.create_time.FromDatetime(latest.created)
        if latest.completed is not None:
            reference.completion_time.FromDatetime(latest.completed)
    return message


def execution_message(execution: JobExecution) -> Any:
    """A protobuf Execution, as of now."""
    completed = execution.completed
    message = run_v2.Execution.pb()(
        name=execution.name,
        job=execution.job.name,
        task_count=execution.job.task_count,
        parallelism=execution.job.task_count,
        generation=1,
        observed_generation=1,
        reconciling=completed is None,
        running_count=execution.count("running"),
        succeeded_count=execution.count("succeeded"),
        failed_count=execution.count("failed"),
        cancelled_count=execution.count("cancelled"),
        retried_count=execution.retried_count(),
        log_uri=execution.log.absolute().as_uri(),
        template=_task_template(execution.job),
        conditions=[_completion(execution)],
    )
    message.create_time.FromDatetime(execution.created)
    message.start_time.FromDatetime(execution.created)
    if completed is not None:
        message.completion_time.FromDatetime(completed)
    return message


def _completion(execution: JobExecution) -> Any:
    if execution.completed is None:
        return _condition("Completed", _Condition.State.CONDITION_RECONCILING)
    if execution.count("succeeded") == execution.job.task_count:
        return _condition("Completed", _Condition.State.CONDITION_SUCCEEDED)
    condition = _condition("Completed", _Condition.State.CONDITION_FAILED)
    reasons = _Condition.ExecutionReason
    condition.execution_reason = reasons.CANCELLED if execution.is_cancelled else reasons.NON_ZERO_EXIT_CODE
    condition.message = execution.message()
    return condition


def _condition(kind: str, state: int) -> Any:
    return _Condition.pb()(type_=kind, state=state)


def _task_template(job: LocalJob) -> Any:
    template = run_v2.TaskTemplate.pb()(max_retries=job.max_retries)
    template.timeout.FromMilliseconds(round(job.timeout_s * 1000))
    # The environment stays out: locally it holds the developer's own.
    template.containers.add(command=job.argv, args=job.args)
    return template
