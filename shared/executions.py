"""Executions of Cloud Run Jobs: the one file that imports its client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import grpc
from google.api_core import exceptions as api
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

from shared.errors import Misconfigured, Unavailable


class NotStarted(Unavailable):
    """The platform said no before it made an execution: nothing runs."""


class Executions(Protocol):
    def start(self, job: str, region: str, environment: Mapping[str, str]) -> str:
        """Start one execution and answer its name.

        Raises NotStarted when certainly none was started, Unavailable when one may have been
        (`jobs:run` is not idempotent), Misconfigured when the job or the permission is missing.
        """

    def has_ended(self, execution: str) -> bool:
        """True once it has completed, in whatever way, or is not known any more."""


class CloudRunExecutions:
    def __init__(self, project: str, *, emulator: str | None = None) -> None:
        self._project = project
        jobs = executions = None
        if emulator:
            channel = grpc.insecure_channel(emulator)
            jobs, executions = JobsGrpcTransport(channel=channel), ExecutionsGrpcTransport(channel=channel)
        self._jobs = run_v2.JobsClient(transport=jobs)
        self._executions = run_v2.ExecutionsClient(transport=executions)

    def start(self, job: str, region: str, environment: Mapping[str, str]) -> str:
        variables = [run_v2.EnvVar(name=name, value=value) for name, value in environment.items()]
        override = run_v2.RunJobRequest.Overrides.ContainerOverride(env=variables)
        request = run_v2.RunJobRequest(
            name=self._jobs.job_path(self._project, region, job),
            overrides=run_v2.RunJobRequest.Overrides(container_overrides=[override], task_count=1),
        )
        try:
            # No retry of the client's own: a second call could start a second execution.
            operation = self._jobs.run_job(request, timeout=20.0, retry=None)
        except (api.ResourceExhausted, api.FailedPrecondition) as cause:
            raise NotStarted(f"Cloud Run has no room for {job}: {type(cause).__name__}") from cause
        except (api.PermissionDenied, api.Unauthenticated, api.NotFound, api.InvalidArgument) as cause:
            raise Misconfigured(f"Cloud Run refused {job}: {type(cause).__name__}") from cause
        except (api.GoogleAPICallError, api.RetryError) as cause:
            raise Unavailable(f"Cloud Run did not say whether {job} was started: {type(cause).__name__}") from cause
        return str(operation.metadata.name)

    def has_ended(self, execution: str) -> bool:
        try:
            found = self._executions.get_execution(name=execution, timeout=10.0)
        except api.NotFound:
            return True
        except (api.GoogleAPICallError, api.RetryError) as cause:
            raise Unavailable(f"Cloud Run did not answer for an execution: {type(cause).__name__}") from cause
        return bool(found.completion_time)
