"""The one place that constructs clients: everything a function or worker talks to, built from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.backlog import Backlog, PrometheusBacklog, UnknownBacklog, query, work_query
from shared.callers import AnyCaller, Callers, OidcCallers
from shared.executions import CloudRunExecutions, Executions
from shared.fetch import FetchPolicy, GuardedClient
from shared.gcs import GcsObjects
from shared.journal import Journal
from shared.letter_box import LetterBox
from shared.objects import Objects
from shared.prices import Tariff, tariff
from shared.pubsub import PubSubTopics, Topics
from shared.queues import CloudTasksQueues, Queues
from shared.settings import Settings, from_environment
from shared.slots import Slots
from shared.store import JobStore
from shared.tracing import NoTracer, Tracer


@dataclass(frozen=True)
class Services:
    """What the use cases are given; tests pass fakes of the same protocols."""

    settings: Settings
    objects: Objects
    store: JobStore
    slots: Slots
    topics: Topics
    queues: Queues
    executions: Executions
    #: Of the GPU Job, which routing goes by.
    backlog: Backlog
    #: Of all routes together, which admission goes by.
    work_backlog: Backlog
    callers: Callers
    http: GuardedClient
    tracer: Tracer = field(default_factory=NoTracer)
    #: For calls that need not wait for each other, and never do: with all its threads waiting, that would be for ever.
    side_by_side: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(64, "side-by-side"))

    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def letters(self) -> LetterBox:
        """The dead letters that are kept."""
        return LetterBox(self.objects, self.settings.state_bucket)

    @property
    def tariff(self) -> Tariff:
        """What machines cost in this deployment's regions."""
        return tariff_of(self.settings)


def tariff_of(settings: Settings) -> Tariff:
    return tariff(settings.region, settings.gpu_region)


def tracer_of(settings: Settings) -> Tracer:
    if settings.traces is None:
        return NoTracer()
    # Here, so that a cold start does not pay for what is off.
    from shared.trace_export import OtelTracer, processor_of

    service = settings.k_service or settings.cloud_run_execution or settings.hostname
    return OtelTracer(processor_of(settings), service, settings.project)


def build(settings: Settings) -> Services:
    objects = GcsObjects(settings.project, emulator=settings.storage_emulator_host, call_seconds=settings.call_seconds)
    return Services(
        settings=settings,
        objects=objects,
        store=JobStore(objects, settings.state_bucket, tell=Journal(lambda: tariff_of(settings)).tell),
        slots=Slots(objects, settings),
        topics=PubSubTopics(settings.project, emulator=settings.pubsub_emulator_host),
        queues=CloudTasksQueues(
            settings.project,
            settings.region,
            account=settings.tasks_account,
            emulator=settings.tasks_emulator_host,
        ),
        executions=CloudRunExecutions(settings.project, emulator=settings.run_emulator_host),
        backlog=_backlog(settings, query(*settings.gpu_lanes)),
        work_backlog=_backlog(settings, work_query(settings)),
        callers=AnyCaller() if settings.local_cloud else OidcCallers(settings.invoker_accounts, settings.audiences),
        http=GuardedClient(
            FetchPolicy(allow_loopback=settings.local_cloud, max_bytes=settings.max_source_bytes, timeout_seconds=600)
        ),
        tracer=tracer_of(settings),
    )


def _backlog(settings: Settings, query: str) -> Backlog:
    return PrometheusBacklog(settings.promql_url, query) if settings.promql_url else UnknownBacklog()


_current: list[Services] = []


def services() -> Services:
    """This process's services, built at first use."""
    if not _current:
        _current.append(build(from_environment()))
    return _current[-1]


@contextmanager
def use(replacement: Services) -> Iterator[Services]:
    """Put other services in place for a while, as tests do."""
    _current.append(replacement)
    try:
        yield replacement
    finally:
        _current.remove(replacement)
