"""Fault 31: each part of the cloud killed and started again in the middle of ten uploads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import httpx

from local.profile import UPLOADS
from tests.chaos import restarting
from tests.chaos.catalogue import scenario
from tests.chaos.hub import Hub
from tests.chaos.scenarios.events import post_event
from tests.waiting import eventually

_UPLOADS = 10


@scenario(31, promises=(1, 2, 3, 6), parts=("Pub/Sub",))
def pubsub_dies_amid_ten_uploads(hub: Hub) -> None:
    _amid_ten_uploads(hub, restarting.pubsub)


@scenario(31, promises=(1, 2, 3, 6), parts=("storage",))
def storage_dies_amid_ten_uploads(hub: Hub) -> None:
    _amid_ten_uploads(hub, restarting.storage)


@scenario(31, promises=(1, 2, 3, 6), parts=("Tasks",))
def tasks_die_amid_ten_uploads(hub: Hub) -> None:
    _amid_ten_uploads(hub, restarting.tasks)


@scenario(31, promises=(1, 2, 3, 6), parts=("Jobs",))
def jobs_die_amid_ten_uploads(hub: Hub) -> None:
    _amid_ten_uploads(hub, restarting.jobs)


@scenario(31, promises=(1, 2, 3, 6), parts=("functions",))
def each_function_dies_amid_ten_uploads(hub: Hub) -> None:
    def all_functions(hub: Hub) -> None:
        for name in ("on_upload", "ingest", "dispatch", "deliver"):
            restarting.function(hub, name)

    _amid_ten_uploads(hub, all_functions)


def _amid_ten_uploads(hub: Hub, restart: Callable[[Hub], None]) -> None:
    with ThreadPoolExecutor(_UPLOADS) as pool:
        uploads = [pool.submit(_insist, hub, number) for number in range(_UPLOADS)]
        eventually(lambda: sum(each.done() for each in uploads) >= _UPLOADS // 2, "half of them")
        restart(hub)
        hub.plan.struck.append("restarted")
        jobs = [each.result() for each in uploads]
    for job_id, name, generation in jobs:
        # Cloud Storage keeps a notification until it is taken; here it is lost when Pub/Sub is not there.
        if hub.job(job_id) is None:
            eventually(partial(_is_told, hub, name, generation), "the event is taken")
    for job_id, _, _ in jobs:
        assert hub.ended(job_id, within_s=90).state == "succeeded"


def _is_told(hub: Hub, name: str, generation: int) -> bool:
    """As Eventarc: a function that died with the event in its hands is told again."""
    with suppress(httpx.TransportError):
        return post_event(hub, UPLOADS, name, generation) == 200
    return False


def _insist(hub: Hub, number: int) -> tuple[str, str, int]:
    """Upload until it holds: the last generation is the one that its caller knows of."""
    name = f"restart-{id(hub)}-{number}-{len(hub.asked)}.wav"
    hub.insisted.add(name)

    def upload() -> tuple[str, str, int] | None:
        try:
            job_id = hub.upload(name=name, operations="probe" if number % 2 else "transcribe")
        except OSError:
            return None
        info = hub.cloud.services.objects.info(UPLOADS, name)
        return (job_id, name, info.generation) if info else None

    return eventually(upload, "the upload", within_s=60)
