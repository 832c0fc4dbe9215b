"""Parts of the local cloud, killed and started again while everything else goes on."""

from __future__ import annotations

from pathlib import Path

import psutil

from local import provision
from local.execution import JobExecution
from local.jobs import CloudRunJobs
from local.processes import Child, http_ready, tcp_ready, wait_ready
from local.profile import PROJECT, REGION
from local.tasks import CloudTasks
from shared import settings
from shared.resources import declared
from tests.chaos.hub import Hub


def pubsub(hub: Hub) -> None:
    """The emulator keeps nothing: topics and subscriptions are made anew, and every message is lost."""
    cloud = hub.cloud
    child = _again(hub, "pubsub")
    wait_ready(child, http_ready(f"http://127.0.0.1:{cloud.endpoints.pubsub}/"), within_s=60)
    resources = cloud.profile.fitted(declared())
    provision.create_topics(resources, cloud.endpoints)
    types = frozenset(settings.parse(cloud.environment).gpu_file_types)
    provision.create_subscriptions(resources, cloud.endpoints, types)


def storage(hub: Hub) -> None:
    """Objects are files and stay; what was under way breaks."""
    child = _again(hub, "storage")
    url = f"http://127.0.0.1:{hub.cloud.endpoints.storage}/storage/v1/b?project={PROJECT}"
    wait_ready(child, http_ready(url), within_s=20)


def function(hub: Hub, name: str) -> None:
    """All processes of one function; requests under way break, and those meanwhile are refused."""
    child = _again(hub, name)
    wait_ready(child, tcp_ready(hub.cloud.endpoints.functions[name]), within_s=60)


def tasks(hub: Hub) -> None:
    """The stand-in keeps its tasks in memory: all are lost, and their names."""
    hub.cloud.tasks.close()
    fresh = hub.stack.enter_context(CloudTasks(port=hub.cloud.endpoints.tasks))
    provision.create_queues(hub.cloud.profile.fitted(declared()), hub.cloud.endpoints)
    object.__setattr__(hub.cloud, "tasks", fresh)


def jobs(hub: Hub) -> None:
    """The stand-in's executions die with it, and nobody knows of them any more."""
    old = hub.cloud.jobs
    for execution in old.running():
        _kill(execution)
    old.close()
    fresh = CloudRunJobs(
        hub.cloud.processes,
        project=PROJECT,
        region=REGION,
        jobs=list(old._jobs.values()),
        log_dir=hub.cloud.logs,
        port=hub.cloud.endpoints.jobs,
    )
    object.__setattr__(hub.cloud, "jobs", hub.stack.enter_context(fresh))


def _kill(execution: JobExecution) -> None:
    execution.cancel()
    for pid in execution.pids():
        psutil.Process(pid).kill()


def _again(hub: Hub, name: str) -> Child:
    """SIGKILL, and the same command in the same environment."""
    child = hub.cloud.children[name]
    process = psutil.Process(child.pid)
    argv, env, cwd = process.cmdline(), process.environ(), process.cwd()
    child.kill()
    again = hub.cloud.processes.start(argv, env=env, log=child.log, name=name, cwd=Path(cwd))
    hub.cloud.children[name] = again
    return again
