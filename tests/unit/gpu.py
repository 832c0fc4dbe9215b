"""A GPU worker on fakes, and the jobs that it is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from shared.job import Job, State
from tests.fakes.processor import FakeProcessor, Step, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.topics import FakeSubscription
from tests.fakes.world import World, request
from workers.gpu.drain import Drain


class Gpu:
    """One worker process on gpu-work, with two places and beats every 20 ms."""

    def __init__(
        self,
        *steps: Step,
        idle_seconds: float | None = 0.05,
        ends_in: float | None = None,
        stop: threading.Event | None = None,
        **settings: Any,
    ) -> None:
        often = {"worker_concurrency": 2, "progress_seconds": 0.01, "beat_seconds": 0.02}
        services = fake_services(**{**often, **settings})
        # Each beat would let the clock of leases run on.
        services.objects.limits_rate = False
        self.world = World(services, FakeProcessor(list(steps) or [succeed()]))
        ends_at = None if ends_in is None else time.monotonic() + ends_in
        self.worker = self.world.worker(ends_at=ends_at, stop=stop)
        self.drain = Drain(self.worker, self.subscription, idle_seconds)

    @property
    def services(self) -> FakeServices:
        return self.world.services

    @property
    def subscription(self) -> FakeSubscription:
        return self.world.services.topics.subscription("gpu-work")

    def submit(self, *keys: str) -> list[Job]:
        jobs = [self.world.submit(request(self.services, idempotency_key=key)).job for key in keys]
        self.services.clock.advance(5)
        return jobs

    def publish(self, data: bytes, **attributes: str) -> None:
        self.services.topics.publish("gpu-tasks", data, attributes)

    def states(self, *jobs: Job) -> list[State]:
        return [self.world.job(job.job_id).state for job in jobs]

    @contextmanager
    def running(self) -> Iterator[Future[None]]:
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(self.drain.run)
            try:
                yield working
            finally:
                self.worker.stop.set()
                working.result(10)
