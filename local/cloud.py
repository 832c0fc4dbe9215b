"""The whole cloud on one machine: emulators, stand-ins, functions, workers; nothing of it outlives the block."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from local import functions, metrics, monitoring, provision, pubsub, storage
from local.autoscaler import Autoscaler, Scale
from local.eventarc import EventarcShim, Trigger
from local.execution import LocalJob
from local.exposition import Exporter, Sample
from local.functions import ROOT, python_environment
from local.jobs import CloudRunJobs
from local.log_counters import LogCounters
from local.memory import storage_folder
from local.ports import Ports
from local.processes import Child, Processes
from local.profile import PROJECT, REGION, UPLOADS, Endpoints, Profile, environment
from local.prometheus_tools import ensure_prometheus
from local.scheduler import Scheduler
from local.tasks import CloudTasks
from monitoring.log_metrics import log_metrics
from shared import settings
from shared.backlog import query, work_query
from shared.resources import Resources, declared
from shared.routing import Destination
from shared.services import Services, build

_log = logging.getLogger(__name__)

#: Here workers share the CPUs with everything else. CTranslate2's threads spin while they wait, which is quick on CPUs
#: of one's own (the demo: 1.9 s against 3.0 s) and ruinous beside one other busy process (60 s against 4 s).
_WORKER_ENVIRONMENT: Final = {"OMP_WAIT_POLICY": "passive"}

#: Work leaves the CPUs to functions and queues, which in the cloud have their own: with 50 callers, and jobs running
#: beside them, the 99th percentile of `POST /v1/jobs` was 1.5 s without this.
_YIELDING: Final = ("nice", "-n", "15")

_POD_COMMAND: Final = ("python", "-m", "workers.gpu", "serve")

RUNS: Final = ROOT / "build" / "local"


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud: how to talk to it, and what tests need to break it."""

    profile: Profile
    endpoints: Endpoints
    environment: dict[str, str]
    #: Clients of this cloud, built as its functions build theirs.
    services: Services
    jobs: CloudRunJobs
    tasks: CloudTasks
    processes: Processes
    children: dict[str, Child]
    logs: Path
    #: Where the GKE route is open.
    autoscaler: Autoscaler | None = None

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self.endpoints.function("ingest")


@contextmanager
def local_cloud(profile: Profile) -> Iterator[LocalCloud]:
    """Start everything, in parallel where it can be; stop everything at the end, whatever happened.

    Raises MissingTool, StartFailed. Logs are kept when the block ends with an error.
    """
    # Before eight processes start that somebody without Java would wait for.
    pubsub.check()
    RUNS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="cloud-", dir=RUNS))
    with ExitStack() as stack:
        yield _start(profile, folder, stack)
    shutil.rmtree(folder, ignore_errors=True)


def _start(profile: Profile, folder: Path, stack: ExitStack) -> LocalCloud:
    resources = profile.fitted(declared())
    data = stack.enter_context(storage_folder(folder / "storage", upload_bytes=profile.upload_bytes))
    ports = stack.enter_context(Ports())
    processes = stack.enter_context(Processes())
    endpoints = _endpoints(ports, resources, profile.fronts)
    env = environment(profile, endpoints)
    logs = folder / "logs"
    tasks = stack.enter_context(CloudTasks(port=endpoints.tasks))
    children = {
        name: functions.start(
            processes, name, each, port=endpoints.functions[name], environment=env, log=logs / f"{name}.log"
        )
        for name, each in resources.functions.items()
    }
    provision.create_queues(resources, endpoints)
    with ThreadPoolExecutor() as pool:
        emulator = pool.submit(_start_emulators, processes, resources, endpoints, logs, data)
        for name, child in children.items():
            functions.wait_until_ready(child, endpoints.functions[name])
        children |= emulator.result()
    provision.create_subscriptions(resources, endpoints, frozenset(settings.parse(env).gpu_file_types))
    jobs = stack.enter_context(
        CloudRunJobs(
            processes,
            project=PROJECT,
            region=REGION,
            jobs=[_job(name, resources, profile, env) for name in resources.jobs],
            log_dir=logs,
            port=endpoints.jobs,
        )
    )
    services = build(settings.parse(environment(profile, replace(endpoints, fronts={}))))
    stack.enter_context(EventarcShim([Trigger(UPLOADS, endpoints.function("on_upload"))], port=endpoints.eventarc))
    if profile.monitoring:
        samples = _samples(services, tasks, jobs, LogCounters(log_metrics(), resources, logs))
        children |= _start_monitoring(profile, endpoints, processes, samples, folder, stack)
    else:
        _serve_metrics(endpoints, services, stack)
    sweep = resources.scheduler["sweep"]
    stack.enter_context(Scheduler(f"{endpoints.function(sweep.calls)}{sweep.path}", every=profile.sweep_every))
    autoscaler = _start_gke(profile, processes, services, env, logs, stack) if profile.enable_gke_route else None
    return LocalCloud(profile, endpoints, env, services, jobs, tasks, processes, children, logs, autoscaler)


def _endpoints(ports: Ports, resources: Resources, fronts: Mapping[str, int]) -> Endpoints:
    return Endpoints(
        pubsub=ports.take(),
        storage=ports.take(),
        tasks=ports.take(),
        jobs=ports.take(),
        metrics=ports.take(),
        eventarc=ports.take(),
        functions={name: ports.take() for name in resources.functions},
        exporter=ports.take(),
        alertmanager=ports.take(),
        fronts=fronts,
    )


def _start_emulators(
    processes: Processes, resources: Resources, endpoints: Endpoints, logs: Path, data: Path
) -> dict[str, Child]:
    emulator = pubsub.start(processes, port=endpoints.pubsub, log=logs / "pubsub.log")
    provision.create_topics(resources, endpoints)
    server = storage.start(
        processes,
        port=endpoints.storage,
        data_dir=data,
        log=logs / "storage.log",
        project=PROJECT,
        event_topic=provision.EVENTS_TOPIC,
        event_bucket=UPLOADS,
        pubsub_port=endpoints.pubsub,
    )
    provision.create_buckets(endpoints)
    return {"pubsub": emulator, "storage": server}


def _job(name: str, resources: Resources, profile: Profile, env: dict[str, str]) -> LocalJob:
    declared_job = resources.jobs[name]
    command = profile.commands.get(name, declared_job.command)
    return LocalJob(
        name=f"nca-toolkit-{name}-job",
        argv=(*_YIELDING, sys.executable, *command[1:]),
        env={
            **python_environment(),
            **_WORKER_ENVIRONMENT,
            "TASK_TIMEOUT_SECONDS": str(declared_job.task_timeout),
            **env,
        },
        timeout_s=declared_job.task_timeout,
        max_retries=declared_job.max_retries,
        cwd=ROOT,
    )


def _serve_metrics(endpoints: Endpoints, services: Services, stack: ExitStack) -> None:
    answers = {
        query(*services.settings.gpu_lanes): partial(metrics.backlog, services.store, Destination.GPU),
        work_query(services.settings): partial(metrics.whole_backlog, services.store),
    }
    server = metrics.server(endpoints.metrics, answers)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    stack.callback(close)


def _samples(
    services: Services, tasks: CloudTasks, jobs: CloudRunJobs, counters: LogCounters
) -> Callable[[], list[Sample]]:
    open_jobs = metrics.OpenJobs(services.store)
    return lambda: [*metrics.platform_samples(open_jobs, services.now(), tasks, jobs), *counters.samples()]


def _start_monitoring(
    profile: Profile,
    endpoints: Endpoints,
    processes: Processes,
    samples: Callable[[], list[Sample]],
    folder: Path,
    stack: ExitStack,
) -> dict[str, Child]:
    stack.enter_context(Exporter(samples, port=endpoints.exporter))
    return monitoring.start(
        processes,
        ensure_prometheus(),
        monitoring.MonitoringPorts(endpoints.metrics, endpoints.alertmanager, endpoints.exporter),
        relay_url=endpoints.function("alert_relay"),
        alert_token=profile.alert_token,
        speed=profile.monitoring_speed,
        folder=folder / "monitoring",
        logs=folder / "logs",
    )


def _start_gke(
    profile: Profile, processes: Processes, services: Services, env: dict[str, str], logs: Path, stack: ExitStack
) -> Autoscaler:
    pods = count(1)

    def start_pod() -> Child:
        name = f"gpu-runner-{next(pods)}"
        command = profile.commands.get("gke", _POD_COMMAND)
        argv = (*_YIELDING, sys.executable, *command[1:])
        pod_env = {**python_environment(), **_WORKER_ENVIRONMENT, **env, "HOSTNAME": name}
        return processes.start(argv, env=pod_env, log=logs / f"{name}.log", name=name, cwd=ROOT)

    scale = Scale(
        target=profile.gke_target,
        maximum=profile.gke_max_runners,
        grace_s=10,
        cooldown_s=profile.idle,
        longest_backoff_s=profile.gke_backoff,
    )
    backlog = partial(metrics.backlog, services.store, Destination.GKE)
    return stack.enter_context(Autoscaler(scale, backlog=backlog, start_pod=start_pod))
