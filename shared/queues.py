"""HTTP tasks that a queue delivers: the one file that imports Cloud Tasks' client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import grpc
from google.api_core import exceptions as api
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from shared.errors import Misconfigured, Unavailable


@dataclass(frozen=True, slots=True)
class Task:
    """One POST that a queue makes until it is answered with 2xx."""

    #: Letters, digits, `-` and `_`; remembered for a day, so the same name is the same task.
    name: str
    url: str
    #: Whom the task's token is made out to: the function's URL, without a path.
    audience: str
    body: bytes
    deadline_seconds: int
    #: Not before this; at once when None.
    schedule_at: datetime | None = None


class Queues(Protocol):
    def enqueue(self, queue: str, task: Task) -> bool:
        """True when queued, False when a task of this name was queued before. Raises Unavailable."""


class CloudTasksQueues:
    """`account` is the service account whose OIDC token the tasks carry."""

    def __init__(self, project: str, region: str, *, account: str | None, emulator: str | None = None) -> None:
        transport = CloudTasksGrpcTransport(channel=grpc.insecure_channel(emulator)) if emulator else None
        self._client = tasks_v2.CloudTasksClient(transport=transport)
        self._project = project
        self._region = region
        self._account = account

    def enqueue(self, queue: str, task: Task) -> bool:
        parent = self._client.queue_path(self._project, self._region, queue)
        request = tasks_v2.HttpRequest(
            http_method=tasks_v2.HttpMethod.POST,
            url=task.url,
            headers={"Content-Type": "application/json"},
            body=task.body,
        )
        if self._account:
            request.oidc_token = tasks_v2.OidcToken(service_account_email=self._account, audience=task.audience)
        message = tasks_v2.Task(
            name=f"{parent}/tasks/{task.name}",
            http_request=request,
            dispatch_deadline=timedelta(seconds=task.deadline_seconds),
            schedule_time=task.schedule_at,
        )
        try:
            self._client.create_task(parent=parent, task=message, timeout=10.0)
        except api.AlreadyExists:
            return False
        except (api.PermissionDenied, api.Unauthenticated, api.NotFound, api.InvalidArgument) as cause:
            raise Misconfigured(f"Cloud Tasks refused {queue}: {type(cause).__name__}") from cause
        except (api.GoogleAPICallError, api.RetryError) as cause:
            raise Unavailable(f"Cloud Tasks did not take a task for {queue}: {type(cause).__name__}") from cause
        return True
