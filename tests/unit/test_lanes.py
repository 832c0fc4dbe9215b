"""High before normal: what a worker takes first, with the lanes' filters and, as on the emulator, without."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.events import job_message
from shared.job import Job, State
from shared.lanes import Priority
from shared.processor import Report, Result
from shared.resources import declared
from shared.settings import Settings
from shared.source import Source
from tests.fakes.processor import succeed
from tests.fakes.topics import FakeSubscription
from tests.fakes.world import request
from tests.unit.gpu import Gpu
from tests.unit.pubsub_filter import matches
from workers.gpu.drain import Drain
from workers.gpu.lanes import Lanes

FILE_TYPES = frozenset(Settings.model_fields["gpu_file_types"].default)
HIGH, NORMAL = "gpu-work-high", "gpu-work"


class Route:
    """The GPU Job's route with one worker on it, which has one place."""

    def __init__(self, *, has_filters: bool = True) -> None:
        self.gpu = Gpu(worker_concurrency=1)
        self.services = self.gpu.services
        self.high, self.normal = map(self.services.topics.subscription, (HIGH, NORMAL))
        if not has_filters:
            self.high.filter = self.normal.filter = ""
        self.lanes = Lanes(self.high, self.normal, 0.01)
        self.drain = Drain(self.gpu.worker, self.lanes, 0.05)

    def submit(self, *keys: str, priority: Priority = Priority.NORMAL) -> list[Job]:
        return [
            self.gpu.world.submit(request(self.services, idempotency_key=key, priority=priority)).job for key in keys
        ]

    @property
    def order(self) -> list[str]:
        """Jobs in the order in which they were begun."""
        found = dict.fromkeys(
            Job.model_validate_json(write.data).job_id
            for write in self.services.objects.writes
            if write.name.startswith("jobs/") and Job.model_validate_json(write.data).state is State.RUNNING
        )
        return list(found)


@pytest.fixture(params=[True, False], ids=["filters", "emulator"])
def route(request: pytest.FixtureRequest) -> Route:
    return Route(has_filters=request.param)


def test_a_high_job_goes_before_a_thousand_that_came_first(route: Route) -> None:
    """One caller's thousand files, and then another's single high one."""
    route.submit(*(f"shop\0{number}" for number in range(1000)))
    (urgent,) = route.submit("till\0urgent", priority=Priority.HIGH)
    (delivery,) = route.lanes.pull(1, timeout_seconds=0)
    assert job_message(delivery.data).job_id == urgent.job_id
    assert len(route.normal.waiting) >= 1000


def test_it_waits_for_the_one_that_runs_and_no_other(route: Route) -> None:
    first, *others = route.submit(*(f"shop\0{number}" for number in range(20)))
    urgent: list[Job] = []

    def while_it_comes(source: Source, folder: Path, report: Report) -> Result:
        urgent.extend(route.submit("till\0urgent", priority=Priority.HIGH))
        return succeed()(source, folder, report)

    route.gpu.world.processor.steps = [while_it_comes, succeed()]
    route.services.clock.advance(5)
    route.drain.run()
    assert route.order == [each.job_id for each in (first, *urgent, *others)]


def test_every_message_is_answered_and_every_job_done_once(route: Route) -> None:
    normal = route.submit("a", "b", "c")
    high = route.submit("d", "e", priority=Priority.HIGH)
    route.services.clock.advance(5)
    route.drain.run()
    assert route.order == [each.job_id for each in (*high, *normal)]
    assert len(route.gpu.world.processor.calls) == 5
    assert route.gpu.states(*normal, *high) == [State.SUCCEEDED] * 5
    assert route.high.waiting == route.normal.waiting == []
    assert route.high.nacked == route.normal.nacked == []


def test_a_high_job_is_not_lost_where_its_lane_has_no_subscription(route: Route) -> None:
    """The old subscription of a set of file types that changed holds both."""
    (urgent,) = route.submit("till\0urgent", priority=Priority.HIGH)
    (message,) = route.high.waiting
    route.high.ack(route.high.pull(1, timeout_seconds=0)[0].ack_id)
    route.normal.filter = ""
    if not route.normal.waiting:
        route.normal.add(message)
    route.services.clock.advance(5)
    route.drain.run()
    assert route.gpu.states(urgent) == [State.SUCCEEDED]


def test_a_message_without_the_attribute_is_of_the_normal_lane(route: Route) -> None:
    """Of a revision that knows no lanes."""
    route.gpu.publish(b"{}", fileType="mp4")
    assert [each.ack_id.partition("/")[0] for each in route.lanes.pull(5, timeout_seconds=0)] == ["normal"]
    assert route.high.waiting == []


def test_a_stray_that_cannot_be_dropped_holds_nothing_up() -> None:
    route = Route(has_filters=False)
    (job,) = route.submit("a")
    route.services.clock.advance(5)
    route.services.faults.fail_next(f"{HIGH}.ack", Unavailable("down"))
    route.drain.run()
    assert route.gpu.states(job) == [State.SUCCEEDED]
    route.services.clock.advance(60)
    assert route.lanes.pull(5, timeout_seconds=0) == []
    assert route.high.waiting == []


@pytest.mark.parametrize("call", ["ack", "nack", "extend"])
@pytest.mark.parametrize("priority", Priority)
def test_an_answer_goes_to_the_lane_that_the_message_came_by(priority: Priority, call: str) -> None:
    route = Route()
    route.submit("a", priority=priority)
    (delivery,) = route.lanes.pull(1, timeout_seconds=0)
    answered: FakeSubscription = route.high if priority is Priority.HIGH else route.normal
    if call == "extend":
        route.lanes.extend([delivery.ack_id], 30)
        assert answered.extended == [(delivery.message_id, 30)]
    else:
        getattr(route.lanes, call)(delivery.ack_id)
        assert getattr(answered, f"{call}ed") == [delivery.message_id]


@pytest.mark.parametrize("topic", ["gpu-tasks", "gpu-tasks-gke"])
@pytest.mark.parametrize("attributes", [{}, {"priority": "normal"}, {"priority": "high"}, {"priority": "urgent"}])
@pytest.mark.parametrize("file_type", [*sorted(FILE_TYPES), "mkv", None])
def test_each_message_passes_exactly_one_lanes_filter_if_its_type_does(
    topic: str, attributes: dict[str, str], file_type: str | None
) -> None:
    """The filters' own text: the emulator applies none."""
    lanes = {
        each.priority: each.filter_for(FILE_TYPES)
        for each in declared().subscriptions.values()
        if each.topic == topic and each.push_to is None
    }
    message = {**attributes, **({"fileType": file_type} if file_type else {})}
    passed = [priority for priority, text in lanes.items() if matches(text, message)]
    lane = Priority.HIGH if attributes.get("priority") == "high" else Priority.NORMAL
    assert passed == ([lane] if file_type in FILE_TYPES else [])
