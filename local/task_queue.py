"""One Cloud Tasks queue: the tasks that wait in it, and the loop that sends them. Lives on one event loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx
from google.cloud import tasks_v2
from google.rpc import code_pb2

from local.pace import RetryPolicy, Slowdown, TokenBucket

_DEFAULT_DEADLINE_S: Final = 600.0
#: Cloud Tasks sets or drops these itself.
_OWN_HEADERS: Final = ("host", "content-length", "user-agent", "x-cloudtasks-", "x-google-", "x-appengine-")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A task that is not done yet: what the API shows of it, and what only the queue knows."""

    #: A protobuf Task.
    task: Any
    #: Unix seconds.
    eta: float
    #: Answers other than 5xx, as X-CloudTasks-TaskExecutionCount counts.
    execution_count: int = 0
    previous_response: int | None = None
    retry_reason: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one try: the target's status, or None and the reason why there was none."""

    status: int | None
    reason: str
    rpc_code: int
    retry_after_s: float = 0.0

    @property
    def is_done(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class TaskQueue:
    """Dispatches at the configured rate and concurrency, and tries again what failed, until it is given up."""

    def __init__(self, queue: Any, http: httpx.AsyncClient) -> None:
        #: A protobuf Queue, as the API shows it.
        self.queue = queue
        self._http = http
        self._held: dict[str, _Held] = {}
        #: Names are remembered after their tasks have ended: in the cloud for a day, here for as long as this lives.
        self._names: set[str] = set()
        self._due: list[tuple[float, int, _Held]] = []
        self._order = itertools.count()
        self._attempts: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._slowdown = Slowdown()
        self.configure(queue)

    def configure(self, queue: Any) -> None:
        """Use these limits, and the defaults of Cloud Tasks where there are none, from now on."""
        limits, retry = queue.rate_limits, queue.retry_config
        limits.max_dispatches_per_second = limits.max_dispatches_per_second or 500
        limits.max_concurrent_dispatches = limits.max_concurrent_dispatches or 1000
        # Output only, "generally at least equal" to the rate.
        limits.max_burst_size = math.ceil(limits.max_dispatches_per_second)
        retry.max_attempts = retry.max_attempts or 100
        retry.max_doublings = retry.max_doublings or 16
        if not retry.HasField("min_backoff"):
            retry.min_backoff.FromMilliseconds(100)
        if not retry.HasField("max_backoff"):
            retry.max_backoff.FromSeconds(3600)
        self.queue = queue
        self._bucket = TokenBucket(limits.max_dispatches_per_second, limits.max_burst_size, now=time.monotonic())
        self._changed.set()

    def remembers(self, name: str) -> bool:
        """Whether a task of this full name is here, or was."""
        return name in self._names

    def add(self, task: Any, *, eta: float) -> None:
        """Take in a task whose name is new, to be sent at `eta` (Unix seconds)."""
        self._names.add(task.name)
        self._held[task.name] = held = _Held(task, eta)
        self._schedule(held, eta)

    def get(self, name: str) -> Any | None:
        """A task that is not done yet."""
        held = self._held.get(name)
        return held.task if held else None

    def tasks(self) -> list[Any]:
        """All tasks that are not done yet, by name."""
        return [self._held[name].task for name in sorted(self._held)]

    def remove(self, name: str) -> bool:
        """Forget a task; a try that is under way goes on, and is not tried again. False when there is none."""
        return self._held.pop(name, None) is not None

    def purge(self) -> None:
        """Forget all tasks."""
        self._held.clear()
        self.queue.purge_time.GetCurrentTime()

    def set_state(self, state: int) -> None:
        """Pause or resume."""
        self.queue.state = state
        self._changed.set()

    async def run(self) -> None:
        """Dispatch until cancelled; the tries under way end with it."""
        try:
            await self._dispatch()
        finally:
            for attempt in self._attempts:
                attempt.cancel()
            await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _dispatch(self) -> None:
        while True:
            wait_s = self._wait_s()
            if wait_s <= 0:
                self._bucket.take(time.monotonic())
                attempt = asyncio.create_task(self._attempt(heapq.heappop(self._due)[2]))
                self._attempts.add(attempt)
                attempt.add_done_callback(self._attempt_ended)
                continue
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(wait_s) else wait_s):
                    await self._changed.wait()

    def _wait_s(self) -> float:
        while self._due and self._held.get(self._due[0][2].task.name) is not self._due[0][2]:
            heapq.heappop(self._due)
        full = len(self._attempts) >= self.queue.rate_limits.max_concurrent_dispatches
        if full or not self._due or self.queue.state != tasks_v2.Queue.State.RUNNING:
            return math.inf
        now = time.monotonic()
        return max(self._due[0][0] - time.time(), self._bucket.wait_s(now), self._slowdown.wait_s(now))

    def _schedule(self, held: _Held, eta: float) -> None:
        held.eta = eta
        held.task.schedule_time.FromMicroseconds(round(eta * 1e6))
        heapq.heappush(self._due, (eta, next(self._order), held))
        self._changed.set()

    def _attempt_ended(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        self._changed.set()
        if not attempt.cancelled():
            attempt.result()

    async def _attempt(self, held: _Held) -> None:
        task = held.task
        task.dispatch_count += 1
        task.last_attempt.Clear()
        task.last_attempt.schedule_time.CopyFrom(task.schedule_time)
        task.last_attempt.dispatch_time.GetCurrentTime()
        if task.dispatch_count == 1:
            task.first_attempt.dispatch_time.CopyFrom(task.last_attempt.dispatch_time)

        answer = await self._send(held)

        task.last_attempt.response_time.GetCurrentTime()
        task.last_attempt.response_status.code = answer.rpc_code
        task.last_attempt.response_status.message = answer.reason
        self._slowdown.answered(answer.status, retry_after_s=answer.retry_after_s, now=time.monotonic())
        if answer.status is not None:
            task.response_count += 1
            held.execution_count += answer.status < 500
        held.previous_response = answer.status
        held.retry_reason = answer.reason
        if self._held.get(task.name) is held:
            self._settle(held, answer)

    def _settle(self, held: _Held, answer: _Answer) -> None:
        task = held.task
        policy = RetryPolicy.of(task.retry_config if task.HasField("retry_config") else self.queue.retry_config)
        elapsed_s = time.time() - task.first_attempt.dispatch_time.ToMicroseconds() / 1e6
        if answer.is_done:
            del self._held[task.name]
        elif policy.is_exhausted(attempts=task.dispatch_count, elapsed_s=elapsed_s):
            del self._held[task.name]
            extra = {"event": "local_tasks.given_up", "task": task.name, "attempts": task.dispatch_count}
            _log.warning("task given up: %s", answer.reason, extra=extra)
        else:
            self._schedule(held, time.time() + policy.delay_s(task.dispatch_count))

    async def _send(self, held: _Held) -> _Answer:
        request = held.task.http_request
        deadline_s = held.task.dispatch_deadline.ToTimedelta().total_seconds() or _DEFAULT_DEADLINE_S
        try:
            # Leaving the timeout closes the connection: the target sees its caller go, as in the cloud.
            async with asyncio.timeout(deadline_s):
                response = await self._http.request(
                    tasks_v2.HttpMethod(request.http_method or tasks_v2.HttpMethod.POST).name,
                    request.url,
                    content=request.body,
                    headers=self._headers(held),
                )
        except TimeoutError:
            return _Answer(None, f"no answer within {deadline_s:g} s", code_pb2.DEADLINE_EXCEEDED)
        except httpx.HTTPError as error:
            return _Answer(None, f"no answer: {error!r}", code_pb2.UNAVAILABLE)
        code = code_pb2.OK if response.is_success else code_pb2.UNKNOWN
        retry_after = response.headers.get("Retry-After", "")
        return _Answer(
            response.status_code,
            f"HTTP status code {response.status_code}",
            code,
            retry_after_s=float(retry_after) if retry_after.isdecimal() else 0.0,
        )

    def _headers(self, held: _Held) -> Mapping[str, str]:
        task = held.task
        given = {
            name: value
            for name, value in task.http_request.headers.items()
            if not name.lower().startswith(_OWN_HEADERS)
        }
        own = {
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": self.queue.name.rpartition("/")[2],
            "X-CloudTasks-TaskName": task.name.rpartition("/")[2],
            "X-CloudTasks-TaskRetryCount": str(task.dispatch_count - 1),
            "X-CloudTasks-TaskExecutionCount": str(held.execution_count),
            "X-CloudTasks-TaskETA": f"{held.eta:.6f}",
        }
        if held.previous_response is not None:
            own["X-CloudTasks-TaskPreviousResponse"] = str(held.previous_response)
        if held.retry_reason:
            own["X-CloudTasks-TaskRetryReason"] = held.retry_reason
        return given | own
