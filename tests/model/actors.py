"""Who takes part: each is one process's real code, from its first call to its last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import flask

from functions import dead_letter as letters
from functions import deliver as webhooks
from functions.api import jobs
from shared import submit as submitting
from shared.attempt_ends import Verdict
from shared.errors import ProcessingFailed, Unavailable
from shared.events import Push, job_message
from shared.fetch import GuardedClient, PostResult
from shared.job import Job
from shared.lease import Beat
from shared.machines import Machine
from shared.operations import Operation
from shared.processor import Admit, Produced, Report, Result
from shared.pubsub import Subscription
from shared.source import Source
from shared.store import JobStore, Snapshot
from shared.sweep import sweep
from shared.time_limit import Stopping
from shared.work import attempt
from shared.worker import Worker
from tests.fakes.services import FakeServices
from tests.fakes.world import WEBHOOK, request
from tests.model.cloud import JOB_ID

ARTIFACT: Final = ("probe.json", b'{"streams": []}')
#: What may become of the work itself.
ENDINGS: Final[dict[str, BaseException | None]] = {
    "works": None,
    "bad file": ProcessingFailed("no moov atom"),
    "passing fault": Unavailable("the model is not there"),
    "told to stop": Stopping("the worker stops"),
}


@dataclass(frozen=True)
class Actor:
    """A process; `act` is made anew for each life of it. It is not begun before `when` holds of the record."""

    name: str
    act: Callable[[FakeServices], object]
    when: Callable[[Job | None], bool] = lambda job: True
    #: So many of its first reads of the record only look whether it is there and whose it is.
    glances: int = 0
    #: Is it the actor before it over again, but for the name? Then that one begins first: the other way is the same.
    is_twin: bool = False


def twin(actor: Actor) -> Actor:
    return replace(actor, is_twin=True)


def submitter(name: str) -> Actor:
    """The same key, whoever comes with it."""
    return Actor(name, lambda services: submitting.submit(request(services), services))


def worker(
    name: str, endings: Sequence[str] = ("works",), *, beats: int = 0, memory: type[Remembering] | None = None
) -> Actor:
    """Takes one message and answers it; between fetching and uploading it renews its lease `beats` times."""
    return Actor(name, lambda services: _work(name, services, endings, beats, (memory or Remembering)(services.store)))


def _work(name: str, services: FakeServices, endings: Sequence[str], beats: int, store: Remembering) -> Verdict | None:
    subscription = services.topics.subscription("gpu-work")
    mine = replace(services, store=cast(JobStore, store))
    engine = _Engine(mine, store, endings, beats)
    tries = count(1)
    process = Worker(mine, engine, name, Machine.GPU_JOB, None, threading.Event(), unique=lambda: str(next(tries)))
    for delivery in subscription.pull(1, timeout_seconds=0):
        message = job_message(delivery.data)
        verdict = attempt(message.job_id, message.submission, process)
        _answer(verdict, delivery.ack_id, subscription)
        return verdict
    return None


def _answer(verdict: Verdict, ack_id: str, subscription: Subscription) -> None:
    match verdict:
        case Verdict.OVER:
            subscription.ack(ack_id)
        case Verdict.AGAIN:
            subscription.nack(ack_id)
        case Verdict.HELD:
            subscription.extend([ack_id], 60)


@dataclass
class Remembering:
    """The worker's store; it keeps the record as this worker last wrote or found it, for the beats."""

    store: JobStore
    last: Snapshot | None = None

    def update(self, job_id: str, change: Callable[[Snapshot], Job | None], *, touch: bool = False) -> Snapshot | None:
        self.last = self.store.update(job_id, change, touch=touch)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass
class _Engine:
    """A media engine whose beats are steps of the schedule: the worker's own sleep for the whole of it."""

    services: FakeServices
    store: Remembering
    endings: Sequence[str]
    beats: int

    def process(
        self,
        source: Source,
        operations: Sequence[Operation],
        folder: Path,
        *,
        explicit: bool,
        report: Report,
        admit: Admit,
    ) -> Result:
        assert self.store.last is not None
        beat = Beat(self.store.last.job, self.services, extend=lambda: None)
        for _ in range(self.beats):
            beat._renew(None)
            beat.report("decode", 50.0)
        ending = self.services.faults.during(f"the work: {'|'.join(self.endings)}", lambda: self.endings[0])
        error = ENDINGS[ending]
        if error is not None:
            # A fresh one each time: an exception keeps the traceback of every raise.
            raise type(error)(str(error))
        name, data = ARTIFACT
        (folder / name).write_bytes(data)
        return Result((Produced(name, "application/json"),), {}, (), 10.0, "cpu")


def _key(services: FakeServices) -> Any:
    return services.settings.api_keys[0]


def canceller(name: str = "cancel") -> Actor:
    return Actor(
        name,
        lambda services: jobs.cancel(cast(flask.Request, None), services, _key(services), JOB_ID).status_code,
        when=lambda job: job is not None,
        glances=1,
    )


def redriver(name: str = "redrive") -> Actor:
    """Somebody who redrives the job; one who comes too early is told of a conflict."""
    return Actor(
        name,
        lambda services: jobs.redrive(cast(flask.Request, None), services, _key(services), JOB_ID).status_code,
        when=lambda job: job is not None and job.state != "running",
        glances=1,
    )


def sweeper(name: str = "sweep") -> Actor:
    return Actor(name, lambda services: sorted(sweep(services).items()))


def undertaker(name: str = "dead_letter") -> Actor:
    """Takes one letter from its subscription."""

    def act(services: FakeServices) -> None:
        subscription = services.topics.subscription("dead-letters-sub")
        for delivery in subscription.pull(1, timeout_seconds=0):
            letters.receive(Push(delivery.data, delivery.attributes, delivery.message_id), services)
            subscription.ack(delivery.ack_id)

    return Actor(name, act)


def deliverer(name: str = "deliver") -> Actor:
    """Takes one webhook from its queue; the receiver is pleased."""

    def act(services: FakeServices) -> None:
        task = services.faults.during("webhooks.take", lambda: services.queues.on("webhooks")[0])
        webhooks.make(webhooks.Try.model_validate_json(task.body), services)
        services.faults.during("webhooks.done", lambda: services.queues.done("webhooks", task))

    return Actor(name, act)


@dataclass
class Receiver:
    """The HTTP client, and behind it a receiver that takes everything."""

    services: FakeServices | None = field(default=None)

    def post(self, url: str, body: bytes, headers: object, *, timeout_seconds: float) -> PostResult:
        assert self.services is not None
        assert url == WEBHOOK
        return self.services.faults.during("http.post", lambda: PostResult(204, None))

    @classmethod
    def behind(cls) -> GuardedClient:
        return cast(GuardedClient, cls())
