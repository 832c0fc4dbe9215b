"""All services as fakes, on one clock and with one plan of faults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

from shared.callers import AnyCaller, Callers
from shared.fetch import FetchPolicy, GuardedClient
from shared.journal import Journal
from shared.resources import declared
from shared.services import Services, tariff_of
from shared.settings import Settings
from shared.slots import Slots
from shared.store import JobStore
from tests.fakes.clock import FakeClock
from tests.fakes.executions import FakeExecutions
from tests.fakes.faults import Faults
from tests.fakes.objects import FakeObjects
from tests.fakes.queues import FakeQueues
from tests.fakes.topics import FakeSubscription, FakeTopics

SETTINGS: Final = {
    "project": "test-project",
    "region": "us-central1",
    "gpu_region": "us-east4",
    "uploads_bucket": "uploads",
    "results_bucket": "results",
    "state_bucket": "state",
    "ingest_url": "https://ingest.test",
    "dispatch_url": "https://dispatch.test",
    "deliver_url": "https://deliver.test",
    "invoker_accounts": ("invoker@test-project.iam.gserviceaccount.com",),
    "audiences": ("https://dispatch.test", "https://deliver.test"),
    "tasks_account": "invoker@test-project.iam.gserviceaccount.com",
    "api_keys": (
        {"name": "shop", "key": "secret-shop-key"},
        {"name": "operator", "key": "secret-operator-key", "sees": "all"},
    ),
    "webhook_secret": "whsec_c2VjcmV0LXdlYmhvb2sta2V5LW9mLTMyLWJ5dGVzISE=",
    "alert_token": "secret-alert-token",
    "assumed_real_time_factor": 0.5,
}


class Inline(ThreadPoolExecutor):
    """Runs everything at once in the caller's thread, so that calls come in one order only.

    What it runs must give it nothing more: in a real pool, whose threads may all be waiting, that would wait for ever.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self._inside = threading.local()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(self._run(fn, *args, **kwargs))
        except BaseException as error:  # as a pool's thread does
            future.set_exception(error)
        return future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        return iter([self._run(fn, *each) for each in zip(*iterables, strict=False)])

    def _run(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        assert not getattr(self._inside, "is_at_work", False), "a pool's thread waits for its own pool"
        self._inside.is_at_work = True
        try:
            return fn(*args, **kwargs)
        finally:
            self._inside.is_at_work = False


@dataclass
class FakeBacklog:
    number: int | None = None

    def waiting(self) -> int | None:
        return self.number


@dataclass(frozen=True, kw_only=True)
class FakeServices(Services):
    """The same dataclass, with the fakes' own types where tests look into them."""

    objects: FakeObjects
    topics: FakeTopics
    queues: FakeQueues
    executions: FakeExecutions
    backlog: FakeBacklog
    work_backlog: FakeBacklog
    clock: FakeClock
    faults: Faults
    side_by_side: ThreadPoolExecutor = field(default_factory=Inline)

    def now(self) -> datetime:
        return self.clock.now()


def fake_services(
    *,
    objects: FakeObjects | None = None,
    http: GuardedClient | None = None,
    callers: Callers | None = None,
    side_by_side: ThreadPoolExecutor | None = None,
    **settings: Any,
) -> FakeServices:
    """Fakes of everything; any setting by its name, and real parts where a test wants them."""
    made = Settings.model_validate({**SETTINGS, **settings})
    objects = objects or FakeObjects()
    clock, faults = objects.clock, objects.faults
    return FakeServices(
        settings=made,
        objects=objects,
        store=JobStore(objects, made.state_bucket, tell=Journal(lambda: tariff_of(made)).tell, wait=clock.advance),
        slots=Slots(objects, made),
        topics=fake_topics(clock, faults, frozenset(made.gpu_file_types)),
        queues=FakeQueues(clock, faults, declared().queues.keys()),
        executions=FakeExecutions(faults, frozenset({(made.gpu_job, made.gpu_region), (made.cpu_job, made.region)})),
        backlog=FakeBacklog(),
        work_backlog=FakeBacklog(),
        callers=callers or AnyCaller(),
        http=http or _loopback_client(),
        side_by_side=side_by_side or Inline(),
        clock=clock,
        faults=faults,
    )


def fake_topics(clock: FakeClock, faults: Faults, gpu_file_types: frozenset[str]) -> FakeTopics:
    """The topics and subscriptions of resources.toml; the push subscriptions can be pulled here, too."""
    resources = declared()
    return FakeTopics(
        clock,
        faults,
        {
            topic: [
                FakeSubscription(
                    clock,
                    faults,
                    name,
                    filter=one.filter_for(gpu_file_types),
                    ack_deadline_seconds=one.ack_deadline,
                    retry_seconds=one.retry_min,
                )
                for name, one in resources.subscriptions.items()
                if one.topic == topic
            ]
            for topic in resources.topics.names
        },
    )


@cache
def _loopback_client() -> GuardedClient:
    # Its certificates take longer to load than most tests to run.
    return GuardedClient(FetchPolicy(allow_loopback=True, timeout_seconds=10, idle_seconds=5))
