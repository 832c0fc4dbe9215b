"""The platform around the services, played by hand: it delivers, redelivers and sweeps until nothing is left to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from shared import cpu_task
from shared.attempt_ends import Verdict
from shared.classify import FileFacts
from shared.errors import JobError
from shared.events import job_message
from shared.job import Job, Source, State
from shared.lanes import CPU_QUEUES
from shared.machines import Machine, Startup
from shared.operations import Probe, Transcribe
from shared.pubsub import Delivery
from shared.submit import JobRequest, Submitted, submit
from shared.sweep import sweep
from shared.work import attempt
from shared.worker import Worker
from tests.fakes.executions import Execution
from tests.fakes.faults import Crash
from tests.fakes.processor import FakeProcessor
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.topics import FakeSubscription

MP4: Final = FileFacts(kind="video", file_type="mp4", content_type="video/mp4", size=9, found="an MP4 video")
PNG: Final = FileFacts(kind="image", file_type="png", content_type="image/png", size=9, found="a PNG image")
WEBHOOK: Final = "https://hooks.example.com/in?token=secret-hook"
#: A beat in these tests is a matter of the test that is about beats.
NO_BEATS: Final[dict[str, Any]] = {"progress_seconds": 3600.0}
#: What workers pull, the high lanes first.
PULLED: Final = ("gpu-work-high", "gpu-work", "gpu-gke-work-high", "gpu-gke-work")
#: How far the clock moves between two rounds, in seconds.
_ROUND_SECONDS: Final = 20.0


def request(services: FakeServices, **changes: Any) -> JobRequest:
    """A transcription of an mp4 in the uploads bucket, unless told otherwise."""
    key = changes.get("idempotency_key", "shop\0key-1")
    name = f"{key}.bin"
    if not services.objects.names("uploads", name):
        services.objects.put("uploads", name, b"the media")
    values: dict[str, Any] = {
        "idempotency_key": key,
        "sent": {"source": name},
        "caller": "shop",
        "source": Source(uri=f"gs://uploads/{name}"),
        "file": MP4,
        "operations": (Probe(), Transcribe()),
        "webhook_url": WEBHOOK,
    }
    return JobRequest(**{**values, **changes})


Door = Callable[[JobRequest, FakeServices], Submitted]


@dataclass
class World:
    services: FakeServices = field(default_factory=lambda: fake_services(**NO_BEATS))
    processor: FakeProcessor = field(default_factory=FakeProcessor)
    #: How often a process died.
    crashes: int = 0

    def __post_init__(self) -> None:
        self.services.executions.on_start = self._run_execution

    def worker(
        self,
        name: str = "worker",
        *,
        ends_at: float | None = None,
        stop: threading.Event | None = None,
        age: float = 0.0,
        machine: Machine = Machine.GPU_JOB,
        startup_seconds: float = 0.0,
    ) -> Worker:
        """`age` is how long ago, in seconds, its process began."""
        started_at = time.monotonic() - age
        return Worker(
            self.services,
            self.processor,
            name,
            machine,
            ends_at,
            stop or threading.Event(),
            started_at=started_at,
            startup=Startup(startup_seconds),
        )

    def submit(self, asked: JobRequest | None = None) -> Submitted:
        return submit(asked or request(self.services), self.services)

    def insist(self, asked: JobRequest, door: Door | None = None) -> Submitted:
        """A client that comes again with the same key until it gets its answer."""
        for _ in range(20):
            with self.surviving():
                return (door or submit)(asked, self.services)
            self.services.clock.advance(2)
        raise AssertionError("the job was never accepted")

    def job(self, job_id: str) -> Job:
        """The record, past all faults."""
        return Job.model_validate_json(self.services.objects.data("state", f"jobs/{job_id}.json"))

    def settle(self, rounds: int = 300) -> None:
        """Let everything happen that will happen."""
        for _ in range(rounds):
            if self.is_quiet:
                return
            self.round()
        raise AssertionError(f"never at rest: {self.services.faults.calls[-30:]}")

    def round(self) -> None:
        for name in PULLED:
            self._drain(self.services.topics.subscription(name), name)
        self._dispatch_tasks()
        for task in self.services.queues.on("webhooks"):
            self.services.queues.done("webhooks", task)
        self.services.clock.advance(_ROUND_SECONDS)
        with self.surviving():
            sweep(self.services)

    @property
    def is_quiet(self) -> bool:
        services = self.services
        subscriptions = map(services.topics.subscription, PULLED)
        is_idle = not services.queues.waiting and not any(one.waiting for one in subscriptions)
        return is_idle and not services.objects.names("state", "open/")

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """A process that may die, and is then started anew; or a request that ends in an error."""
        try:
            yield
        except Crash:
            self.crashes += 1
            self.services.faults.revive()
        except JobError:
            return

    def states(self, job_id: str) -> list[State]:
        """Every state the record was written in, repetitions left out."""
        states: list[State] = []
        for write in self.services.objects.writes:
            if write.name == f"jobs/{job_id}.json":
                state = Job.model_validate_json(write.data).state
                states += [state] if states[-1:] != [state] else []
        return states

    def _drain(self, subscription: FakeSubscription, name: str) -> None:
        with self.surviving():
            for delivery in subscription.pull(10, timeout_seconds=0):
                self._answer(delivery, subscription, name)

    def _answer(self, delivery: Delivery, subscription: FakeSubscription, name: str) -> None:
        message = job_message(delivery.data)
        # Only a Cloud Run Job's task ends; a pod serves on.
        ends_at = None if name.startswith("gpu-gke-work") else float("inf")
        trace = delivery.attributes["traceparent"] or None
        match attempt(message.job_id, message.submission, self.worker(name, ends_at=ends_at), trace=trace):
            case Verdict.OVER:
                subscription.ack(delivery.ack_id)
            case Verdict.AGAIN:
                subscription.nack(delivery.ack_id)

    def _dispatch_tasks(self) -> None:
        for queue in CPU_QUEUES.values():
            self._dispatch_queue(queue)

    def _dispatch_queue(self, queue: str) -> None:
        for task in self.services.queues.on(queue):
            with self.surviving():
                message = job_message(task.body)
                wait = self.services.clock.advance
                with self.services.tracer.span("dispatch.task", message.traceparent):
                    is_done = cpu_task.run(message, self.services, deadline_seconds=1800, wait=wait)
                if is_done:
                    self.services.queues.done(queue, task)

    def _run_execution(self, execution: Execution) -> None:
        """The container of a CPU Job: another process, whose death its starter survives."""
        environment = execution.environment
        with self.surviving():
            worker, trace = self.worker(execution.name), environment.get("TRACEPARENT")
            attempt(environment["JOB_ID"], int(environment["SUBMISSION"]), worker, trace=trace)
        self.services.executions.ended.add(execution.name)
