"""Jobs that wait: their messages may be lost, or lie where nobody pulls any more; the sweep sends them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.bell import ring
from shared.errors import Unavailable
from shared.events import JobMessage, job_message
from shared.job import Job, State
from shared.routing import Destination
from shared.store import Marker, index_key
from shared.sweep import sweep
from tests.fakes.services import FakeServices, fake_services
from tests.unit.samples import NOON, job, job_in
from tests.unit.swept import left, markers, record_of


@pytest.mark.parametrize(("destination", "topic"), [(Destination.GPU, "gpu-tasks"), (Destination.GKE, "gpu-tasks-gke")])
def test_a_job_whose_message_may_be_lost_is_published_again(destination: Destination, topic: str) -> None:
    services = fake_services(enable_gke_route=True)
    queued = left(services, job(destination=destination))
    assert sweep(services) == {"sent": 1, "slots": 0}
    (message,) = services.topics.on(topic)
    assert job_message(message.data) == JobMessage(job_id=queued.job_id, submission=1)
    assert record_of(services, queued).times_resent == 1
    assert markers(services) == [f"open/shop/{queued.job_id}"]


def test_a_job_that_was_never_listed_is(services: FakeServices) -> None:
    queued = left(services, job())
    sweep(services)
    assert services.objects.names("state", "index/") == [f"index/{index_key(queued)}"]


def test_a_cpu_job_gets_a_task_under_a_new_name_each_time(services: FakeServices) -> None:
    """The first time under the first name: if that task is there, it is not doubled."""
    queued = left(services, job(destination=Destination.CPU))
    for _ in range(3):
        sweep(services)
        services.clock.advance(3600)
    name = f"{queued.job_id}-1"
    tasks = services.queues.on("cpu-tasks")
    assert [task.name for task in tasks] == [name, f"{name}-resent-0-1", f"{name}-resent-0-2"]
    assert json.loads(tasks[0].body)["job_id"] == queued.job_id


def test_a_job_that_waits_its_turn_is_published_again_ever_more_rarely(services: FakeServices) -> None:
    left(services, job())
    sent_at: list[float] = []
    for minute in range(120):
        if sweep(services)["sent"]:
            sent_at.append(minute)
        services.clock.advance(60)
    assert sent_at == [0, 4, 12, 28, 60]


def test_a_job_that_waited_long_and_then_lost_its_worker_is_sent_again_soon(services: FakeServices) -> None:
    queued = left(services, job(times_resent=6))
    services.store.update(queued.job_id, lambda seen: seen.job.leased("a worker that dies", NOON))
    services.clock.advance(services.settings.grace_seconds)
    assert sweep(services) == {"sent": 1, "slots": 0}


def test_a_job_of_a_dead_worker_is_sent_again_and_does_not_look_alive_by_it(services: FakeServices) -> None:
    lost = left(services, job_in(State.RUNNING))
    assert sweep(services) == {"sent": 1, "slots": 0}
    after = record_of(services, lost)
    assert (after.state, after.owner, after.attempts_counted) == (State.QUEUED, None, 1)
    assert after.failure is not None
    assert after.failure.code == "worker_lost"
    # The bell of the new message must start an execution, and not fall silent.
    assert ring(JobMessage(job_id=lost.job_id, submission=1), services) is False
    assert len(services.executions.started) == 1


def test_a_worker_that_was_quicker_than_the_sweep_keeps_its_lease(services: FakeServices) -> None:
    lost = left(services, job_in(State.RUNNING))

    class Quick:
        """The message is hardly out when a worker has it."""

        def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
            services.store.update(lost.job_id, lambda seen: seen.job.leased("quick", NOON))

    sweep(replace(services, topics=Quick()))
    after = record_of(services, lost)
    assert (after.state, after.owner, after.attempt, after.times_resent) == (State.RUNNING, "quick", 2, 0)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
@pytest.mark.parametrize(
    ("destination", "settings", "goes_to"),
    [
        (Destination.GKE, {"enable_gke_route": False}, Destination.GPU),
        (Destination.GKE, {"enable_gke_route": True, "gpu_file_types": ("mkv",)}, Destination.CPU),
        (Destination.GPU, {"gpu_file_types": ("mkv",)}, Destination.CPU),
    ],
    ids=["no pods any more", "not the pods' type any more", "not the GPU's type any more"],
)
class TestAWayThatWasTakenAway:
    """A later deployment has no workers where the job waits; what was sent there nobody pulls."""

    def test_the_job_goes_another_way(
        self, destination: Destination, settings: dict[str, Any], goes_to: Destination, state: State
    ) -> None:
        services = fake_services(**settings)
        waiting = left(services, job_in(state, destination=destination, times_resent=4))
        assert sweep(services) == {"sent": 1, "slots": 0}
        self._is_there(services, waiting, goes_to)
        services.clock.advance(services.settings.grace_seconds - 1)
        assert sweep(services) == {"nothing": 1, "slots": 0}

    def test_a_sweep_that_dies_before_it_has_sent_it_is_followed_by_one_that_does(
        self, destination: Destination, settings: dict[str, Any], goes_to: Destination, state: State
    ) -> None:
        services = fake_services(**settings)
        waiting = left(services, job_in(state, destination=destination))
        call = "queues.enqueue" if goes_to is Destination.CPU else "topics.publish"
        services.faults.fail_next(call, Unavailable("down"))
        assert sweep(services) == {"failed": 1, "slots": 0}
        services.clock.advance(services.settings.grace_seconds)
        assert sweep(services) == {"sent": 1, "slots": 0}
        self._is_there(services, waiting, goes_to)

    @staticmethod
    def _is_there(services: FakeServices, waiting: Job, goes_to: Destination) -> None:
        after = record_of(services, waiting)
        assert (after.state, after.destination, after.submission) == (State.QUEUED, goes_to, waiting.submission)
        assert "any more" in after.reason
        sent = [
            *(json.loads(task.body)["job_id"] for task in services.queues.on("cpu-tasks")),
            *(job_message(message.data).job_id for message in services.topics.on("gpu-tasks")),
        ]
        assert sent == [waiting.job_id]
        assert services.topics.on("gpu-tasks-gke") == []
        assert services.objects.names("state", "index/") == [f"index/{index_key(after)}"]


def test_a_job_that_waits_its_turn_in_a_long_queue_is_not_sent_again() -> None:
    """Its copies would count as jobs, and lie there when it is long over."""
    services = fake_services(lease_seconds=300, ack_deadline_seconds=600)
    works = job("works", queued_at=NOON - timedelta(seconds=1)).leased("worker/1", NOON)
    waiting = [job(str(number)) for number in range(30)]
    for record in (works, *waiting):
        services.store.mark_open(Marker.of(record))
        services.store.create(record)
    for minute in range(1, 5):
        services.clock.set(NOON + timedelta(minutes=minute))
        # Somebody is taken, now and then.
        services.store.update(works.job_id, lambda seen: seen.job.model_copy(update={"started_at": services.now()}))
        assert sweep(services) == {"nothing": 31, "slots": 0}
    assert services.topics.on("gpu-tasks") == []

    services.clock.set(NOON + timedelta(minutes=10))
    services.store.update(works.job_id, lambda seen: seen.job, touch=True)
    assert sweep(services) == {"sent": 1, "nothing": 30, "slots": 0}
    services.store.update(works.job_id, lambda seen: seen.job.cancelled(services.now()))
    assert sweep(services)["sent"] == 29
