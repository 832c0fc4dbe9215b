"""Cloud Tasks on one machine: google.cloud.tasks.v2 over gRPC, spoken to by the real client.

    with CloudTasks() as cloud_tasks:
        channel = grpc.insecure_channel(cloud_tasks.address)
        client = CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))

Like the real one: names remembered after a task has ended (ALREADY_EXISTS), schedule times, rate and concurrency
limits, retries with backoff, dispatch deadlines, the X-CloudTasks headers, a queue slowed down by 429 and 503.
Not like it: an OIDC or OAuth token is accepted and no Authorization header is sent; redirects count as failures;
new queues do not ramp up; all state is in memory. Batch calls, RunTask, DeleteQueue, IAM and queue-level HTTP
targets are UNIMPLEMENTED. https://cloud.google.com/tasks/docs/reference/rpc/google.cloud.tasks.v2
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import grpc
import httpx
from google.cloud import tasks_v2
from google.protobuf import empty_pb2, field_mask_pb2

from local.loop import LoopThread
from local.rpc import Method, Refusal, RpcServer, not_found, page
from local.task_queue import TaskQueue

_QUEUE: Final = re.compile(r"projects/[A-Za-z0-9:.-]+/locations/[a-z0-9-]+/queues/[A-Za-z0-9-]{1,100}")
_TASK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,500}")
_MOST_BYTES: Final = 1024 * 1024
_LONGEST_DEADLINE_S: Final = 1800.0
_BODY_METHODS: Final = (
    tasks_v2.HttpMethod.HTTP_METHOD_UNSPECIFIED,
    tasks_v2.HttpMethod.POST,
    tasks_v2.HttpMethod.PUT,
    tasks_v2.HttpMethod.PATCH,
)


class CloudTasks:
    """The service on a loopback port (0: any), with all its queues."""

    def __init__(self, *, port: int = 0, shortest_deadline_s: float = 15.0) -> None:
        self._shortest_deadline_s = shortest_deadline_s
        self._queues: dict[str, TaskQueue] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._loop = LoopThread("cloud-tasks")
        # No limits of its own: the queues' limits count.
        self._http = httpx.AsyncClient(
            timeout=None,  # noqa: S113 - every request has its dispatch deadline
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )
        methods = {
            "CreateQueue": self._method(tasks_v2.CreateQueueRequest, self._create_queue),
            "GetQueue": self._method(tasks_v2.GetQueueRequest, lambda request: self._queue(request.name).queue),
            "UpdateQueue": self._method(tasks_v2.UpdateQueueRequest, self._update_queue),
            "ListQueues": self._method(tasks_v2.ListQueuesRequest, self._list_queues),
            "PauseQueue": self._method(tasks_v2.PauseQueueRequest, self._pause_queue),
            "ResumeQueue": self._method(tasks_v2.ResumeQueueRequest, self._resume_queue),
            "PurgeQueue": self._method(tasks_v2.PurgeQueueRequest, self._purge_queue),
            "CreateTask": self._method(tasks_v2.CreateTaskRequest, self._create_task),
            "GetTask": self._method(tasks_v2.GetTaskRequest, self._get_task),
            "ListTasks": self._method(tasks_v2.ListTasksRequest, self._list_tasks),
            "DeleteTask": self._method(tasks_v2.DeleteTaskRequest, self._delete_task),
        }
        self._server = RpcServer({"google.cloud.tasks.v2.CloudTasks": methods}, port=port)

    @property
    def address(self) -> str:
        """For `grpc.insecure_channel`."""
        return self._server.address

    def depths(self) -> dict[str, int]:
        """How many tasks each queue holds, by the queue's short name."""
        return self._loop.call(
            lambda: {name.rpartition("/")[2]: len(queue.tasks()) for name, queue in self._queues.items()}
        )

    def close(self) -> None:
        """Stop answering and drop the requests under way."""
        self._server.close()
        self._loop.close_after(self._end())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _end(self) -> None:
        # Ours alone are cancelled: what the HTTP client began for them is for them to end.
        for queue in self._running:
            queue.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._http.aclose()

    def _method(self, request: Any, answer: Callable[[Any], Any]) -> Method:
        return Method(request, lambda asked: self._loop.call(lambda: answer(asked)))

    def _queue(self, name: str) -> TaskQueue:
        queue = self._queues.get(name)
        if queue is None:
            raise not_found(name)
        return queue

    def _queue_of(self, task_name: str) -> TaskQueue:
        return self._queue(task_name.rpartition("/tasks/")[0])

    def _create_queue(self, request: Any) -> Any:
        if request.queue.name in self._queues:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "Queue already exists")
        if not request.queue.name.startswith(f"{request.parent}/queues/"):
            raise _invalid("The queue's name must begin with its parent.")
        return self._add_queue(request.queue)

    def _add_queue(self, queue: Any) -> Any:
        if not _QUEUE.fullmatch(queue.name):
            raise _invalid(f'Queue name must be "projects/P/locations/L/queues/Q", not "{queue.name}".')
        queue.state = tasks_v2.Queue.State.RUNNING
        self._queues[queue.name] = added = TaskQueue(queue, self._http)
        self._running.add(asyncio.get_running_loop().create_task(added.run()))
        return added.queue

    def _update_queue(self, request: Any) -> Any:
        if request.queue.name not in self._queues:
            # As the real one: UpdateQueue creates what is not there.
            return self._add_queue(request.queue)
        queue = self._queue(request.queue.name)
        # Name, state and purge time cannot be changed this way.
        mask = field_mask_pb2.FieldMask(paths=request.update_mask.paths or ["rate_limits", "retry_config"])
        if not all(path.startswith(("rate_limits", "retry_config")) for path in mask.paths):
            raise _invalid("Only rate_limits and retry_config can be updated.")
        mask.MergeMessage(request.queue, queue.queue, replace_message_field=True)
        queue.configure(queue.queue)
        return queue.queue

    def _list_queues(self, request: Any) -> Any:
        names = sorted(name for name in self._queues if name.startswith(f"{request.parent}/queues/"))
        shown, token = page(names, size=request.page_size, token=request.page_token)
        queues = [self._queues[name].queue for name in shown]
        return tasks_v2.ListQueuesResponse.pb()(queues=queues, next_page_token=token)

    def _pause_queue(self, request: Any) -> Any:
        queue = self._queue(request.name)
        queue.set_state(tasks_v2.Queue.State.PAUSED)
        return queue.queue

    def _resume_queue(self, request: Any) -> Any:
        queue = self._queue(request.name)
        queue.set_state(tasks_v2.Queue.State.RUNNING)
        return queue.queue

    def _purge_queue(self, request: Any) -> Any:
        queue = self._queue(request.name)
        queue.purge()
        return queue.queue

    def _create_task(self, request: Any) -> Any:
        queue, task = self._queue(request.parent), request.task
        task.name = task.name or f"{request.parent}/tasks/{secrets.randbits(63)}"
        prefix, _, task_id = task.name.rpartition("/tasks/")
        if prefix != request.parent or not _TASK_ID.fullmatch(task_id):
            raise _invalid(f'Task name must be "{request.parent}/tasks/TASK_ID", not "{task.name}".')
        if queue.remembers(task.name):
            raise Refusal(
                grpc.StatusCode.ALREADY_EXISTS,
                "The task cannot be created because a task with this name existed too recently."
                " For more information about task de-duplication see"
                " https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks/create#body.request_body.FIELDS.task.",
            )
        self._check_request(task)
        now = time.time()
        task.create_time.FromSeconds(int(now))
        queue.add(task, eta=max(now, task.schedule_time.ToMicroseconds() / 1e6))
        return _view(task, request.response_view)

    def _check_request(self, task: Any) -> None:
        request = task.http_request
        if task.WhichOneof("message_type") != "http_request":
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "Only HTTP tasks are dispatched here.")
        if not request.url.startswith(("http://", "https://")):
            raise _invalid('HttpRequest.url must start with "http://" or "https://".')
        if request.body and request.http_method not in _BODY_METHODS:
            raise _invalid("HTTP request body is only allowed with POST, PUT and PATCH.")
        if task.ByteSize() > _MOST_BYTES:
            raise _invalid(f"Task size too large: at most {_MOST_BYTES} bytes.")
        if task.HasField("dispatch_deadline"):
            deadline_s = task.dispatch_deadline.ToTimedelta().total_seconds()
            if not self._shortest_deadline_s <= deadline_s <= _LONGEST_DEADLINE_S:
                raise _invalid("Task.dispatch_deadline must be between [15s, 30m].")

    def _get_task(self, request: Any) -> Any:
        task = self._queue_of(request.name).get(request.name)
        if task is None:
            raise not_found(request.name)
        return _view(task, request.response_view)

    def _list_tasks(self, request: Any) -> Any:
        tasks = self._queue(request.parent).tasks()
        shown, token = page(tasks, size=request.page_size, token=request.page_token, default_size=1000)
        views = [_view(task, request.response_view) for task in shown]
        return tasks_v2.ListTasksResponse.pb()(tasks=views, next_page_token=token)

    def _delete_task(self, request: Any) -> Any:
        if not self._queue_of(request.name).remove(request.name):
            raise not_found(request.name)
        return empty_pb2.Empty()


def _view(task: Any, view: int) -> Any:
    """A copy, since the task goes on changing while the answer is written; without the body unless FULL."""
    shown = tasks_v2.Task.pb()()
    shown.CopyFrom(task)
    shown.view = view or tasks_v2.Task.View.BASIC
    if shown.view == tasks_v2.Task.View.BASIC:
        shown.http_request.ClearField("body")
    return shown


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)
