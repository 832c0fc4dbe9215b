"""A redrive in a deployment that has other routes than the one in which the job was submitted."""

from __future__ import annotations

from typing import Any

import pytest

from shared.redrive import redrive
from tests.fakes.services import fake_services
from tests.fakes.world import MP4, World, request
from tests.functions.serving import change

WAV = MP4.model_copy(update={"file_type": "wav"})
BOTH = {"gpu_file_types": ("mp4", "wav"), "enable_gke_route": True}


@pytest.mark.parametrize(
    ("asked", "then", "went", "goes", "why"),
    [
        ({"wish": "gke"}, {"enable_gke_route": False}, "gpu-tasks-gke", "gpu-tasks", "gpu: mp4; GKE is not"),
        ({"file": WAV}, {"gpu_file_types": ("mp4",)}, "gpu-tasks", "cpu-tasks", "cpu: wav is not among"),
        ({"file": WAV, "wish": "gke"}, {"gpu_file_types": ("mp4",)}, "gpu-tasks-gke", "cpu-tasks", "cpu: wav is not"),
        ({"wish": "gke"}, {}, "gpu-tasks-gke", "gpu-tasks-gke", "gpu: transcribe on mp4; X-Destination asks for gke"),
    ],
)
def test_a_redriven_job_goes_where_somebody_takes_it(
    asked: dict[str, Any], then: dict[str, Any], went: str, goes: str, why: str
) -> None:
    before = fake_services(**BOTH)
    job = World(services=before).submit(request(before, **asked)).job
    assert job.destination == went
    change(before, job.job_id, "leased", "failed")
    after = fake_services(objects=before.objects, **{**BOTH, **then})
    after.clock.advance(10)
    redriven = redrive(job.job_id, after)
    assert redriven.destination == goes
    assert redriven.reason.startswith(why)
    World(services=after).settle(300)
    seen = after.store.get(job.job_id)
    assert seen is not None
    assert (seen.job.state, seen.job.submission) == ("succeeded", 2)


def test_redrives_of_a_waiting_cpu_job_make_one_task_a_minute() -> None:
    """Each may hold a place of the queue until the job ends, and counts for the backlog."""
    services = fake_services(gpu_file_types=("mp4",))
    job = World(services=services).submit(request(services, file=WAV)).job
    services.clock.advance(60 - services.now().timestamp() % 60)

    def redriven(times: int) -> int:
        for _ in range(times):
            assert redrive(job.job_id, services).submission == 1
        return len(services.queues.on("cpu-tasks"))

    assert redriven(5) == 2
    services.clock.advance(60)
    assert redriven(5) == 3
