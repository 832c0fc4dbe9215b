"""A worker with as little of a cloud around it as it needs: storage (fake-gcs-server) and a queue that is paused.

Jobs are submitted and attempted in this process by the code that functions and workers run; nothing competes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

import grpc
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from bench.media_meter import Meter, metered
from bench.media_rounds import Setting
from local import provision, storage
from local.memory import storage_folder
from local.ports import Ports
from local.processes import Processes
from local.profile import PROJECT, REGION, UPLOADS, Endpoints, Profile, environment
from local.tasks import CloudTasks
from shared import settings
from shared.classify import HEAD_BYTES, classify
from shared.job import Job, Outcome, Source, State
from shared.machines import Machine
from shared.operations import Operation
from shared.resources import declared
from shared.services import Services, build
from shared.submit import JobRequest, submit
from shared.work import attempt
from shared.worker import Worker

_FUNCTIONS: Final = ("ingest", "dispatch", "deliver")


@dataclass(frozen=True, slots=True)
class Attempted:
    """One job, done."""

    #: The whole attempt on the wall clock: from the lease to the outcome's record and the webhook's task.
    seconds: float
    outcome: Outcome


@dataclass(frozen=True)
class StorageWorker:
    """Jobs on objects in storage, one at a time."""

    #: Clients of the storage itself.
    services: Services
    #: What the worker reads of storage goes through it.
    meter: Meter
    _worker: Worker
    _metered: Worker
    _numbers: Iterator[int]

    def put(self, path: Path) -> Source:
        """The file as an object of the uploads bucket."""
        objects = self.services.objects
        objects.upload(UPLOADS, path.name, path, content_type="video/mp4")
        found = objects.info(UPLOADS, path.name)
        assert found is not None  # noqa: S101
        return Source(uri=f"gs://{UPLOADS}/{path.name}", generation=found.generation)

    def url(self, source: Source) -> str:
        """Where anybody may read the object over HTTP, in ranges if they like."""
        bucket, name = _place(source)
        return self.services.objects.download_url(bucket, name, expires_seconds=3600)

    def fetch(self, source: Source, path: Path) -> None:
        """The whole object, as a worker downloads it."""
        bucket, name = _place(source)
        self.services.objects.download(bucket, name, path, generation=source.generation)

    def attempt(self, source: Source, *operations: Operation) -> Attempted:
        """Submit a job and do it. Raises RuntimeError when it does not succeed."""
        return self._attempt(self._worker, source, operations)

    def bytes_read(self, source: Source, *operations: Operation) -> int:
        """What such a job reads of storage: the object's bytes, and a few kB of records and HTTP."""
        self.meter.reset()
        self._attempt(self._metered, source, operations)
        return self.meter.reset()

    def _attempt(self, worker: Worker, source: Source, operations: tuple[Operation, ...]) -> Attempted:
        job = self._submit(source, operations)
        begun = time.perf_counter()
        attempt(job.job_id, job.submission, worker)
        seconds = time.perf_counter() - begun
        seen = self.services.store.get(job.job_id)
        if seen is None or seen.job.state is not State.SUCCEEDED or seen.job.outcome is None:
            raise RuntimeError(f"the job did not succeed: {seen.job.failure if seen else 'no record'}")
        return Attempted(seconds, seen.job.outcome)

    def _submit(self, source: Source, operations: tuple[Operation, ...]) -> Job:
        bucket, name = _place(source)
        head = self.services.objects.head(bucket, name, length=HEAD_BYTES)
        assert head is not None  # noqa: S101
        request = JobRequest(
            idempotency_key=f"bench-{next(self._numbers)}",
            sent={},
            caller="bench",
            source=source,
            file=classify(name, head.content_type, head.data, head.size),
            operations=operations,
            # So that a task is queued at the end, as of most jobs.
            webhook_url="https://receiver.invalid/",
        )
        return submit(request, self.services).job


@contextmanager
def storage_worker(setting: Setting, *, upload_bytes: int) -> Iterator[StorageWorker]:
    """Start storage and queue; `upload_bytes` is what will be put there. Raises MissingTool, StartFailed."""
    with ExitStack() as stack:
        ports = stack.enter_context(Ports())
        endpoints = Endpoints(
            pubsub=ports.take(),
            storage=ports.take(),
            tasks=ports.take(),
            jobs=ports.take(),
            metrics=ports.take(),
            eventarc=ports.take(),
            functions={name: ports.take() for name in _FUNCTIONS},
        )
        data = stack.enter_context(storage_folder(setting.folder / "storage", upload_bytes=upload_bytes))
        processes = stack.enter_context(Processes())
        log = setting.folder / "storage.log"
        storage.start(processes, port=endpoints.storage, data_dir=data, log=log, project=PROJECT)
        provision.create_buckets(endpoints)
        stack.enter_context(CloudTasks(port=endpoints.tasks))
        _create_paused_queues(endpoints)
        meter = stack.enter_context(metered(endpoints.storage))
        services = _services(setting, endpoints)
        yield StorageWorker(
            services=services,
            meter=meter,
            _worker=_worker(services, setting),
            _metered=_worker(_services(setting, replace(endpoints, storage=meter.port)), setting),
            _numbers=count(1),
        )


def _services(setting: Setting, endpoints: Endpoints) -> Services:
    return build(settings.parse(environment(Profile(model=setting.assets.model), endpoints)))


def _worker(services: Services, setting: Setting) -> Worker:
    return Worker(
        services=services,
        processor=setting.engine(),
        name="bench",
        machine=Machine.CPU_JOB,
        ends_at=None,
        stop=threading.Event(),
    )


def _create_paused_queues(endpoints: Endpoints) -> None:
    resources = declared()
    provision.create_queues(resources, endpoints)
    with grpc.insecure_channel(f"127.0.0.1:{endpoints.tasks}") as channel:
        client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
        for name in resources.queues:
            client.pause_queue(name=client.queue_path(PROJECT, REGION, name))


def _place(source: Source) -> tuple[str, str]:
    place = source.bucket_and_name
    assert place is not None  # noqa: S101
    return place
