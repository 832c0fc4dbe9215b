"""Break every single call of a whole job's life, one run for each call and each way of breaking it.

Whatever broke, once the platform has redelivered and swept, every accepted job has ended once and whole.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from shared.errors import ProcessingFailed, RateLimited, SourceMissing, Unavailable
from shared.job import State, job_id_for
from shared.routing import Destination
from shared.store import index_key
from shared.submit import JobRequest, Submitted, refuse, submit
from shared.work import attempt
from tests.fakes.faults import Crash
from tests.fakes.processor import ARTIFACTS, FakeProcessor, Step, fail, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import NO_BEATS, PNG, World, request


@dataclass(frozen=True)
class Story:
    steps: tuple[Step, ...]
    end: State
    seconds: float = 10.0
    settings: dict[str, Any] | None = None
    asked: Callable[[FakeServices], JobRequest] = request
    #: How it comes in.
    door: Callable[[JobRequest, FakeServices], Submitted] = submit
    destination: Destination | None = Destination.GPU

    def world(self) -> World:
        services = fake_services(**{**NO_BEATS, **(self.settings or {})})
        return World(services, FakeProcessor(list(self.steps), seconds=self.seconds))


def on_cpu(services: FakeServices) -> JobRequest:
    return request(services, file=PNG)


def refused(asked: JobRequest, services: FakeServices) -> Submitted:
    return refuse(asked, SourceMissing("the upload was deleted"), services)


STORIES = {
    "succeeds on the GPU": Story((succeed(),), State.SUCCEEDED),
    "succeeds on the CPU": Story((succeed(),), State.SUCCEEDED, asked=on_cpu, destination=Destination.CPU),
    "fails for good": Story((fail(ProcessingFailed("no moov atom")),), State.FAILED),
    "succeeds at the second attempt": Story((fail(Unavailable("storage is down")), succeed()), State.SUCCEEDED),
    "is given up": Story((fail(Unavailable("storage is down")),), State.DEAD_LETTERED, settings={"max_attempts": 2}),
    "is given up on the CPU": Story(
        (fail(ValueError("a bug")),),
        State.DEAD_LETTERED,
        settings={"max_attempts": 2},
        asked=on_cpu,
        destination=Destination.CPU,
    ),
    "moves to GKE": Story(
        (succeed(),),
        State.SUCCEEDED,
        seconds=1e6,
        settings={"enable_gke_route": True},
        destination=Destination.GKE,
    ),
    "is too long": Story((succeed(),), State.FAILED, seconds=1e8),
    "is refused": Story((), State.FAILED, door=refused, destination=None),
}

#: What happens to the one call: its error, and whether it took effect before.
WAYS: dict[str, tuple[Callable[[], BaseException | None], bool]] = {
    "the process dies before": (lambda: Crash(), False),
    "the process dies after": (lambda: Crash(), True),
    "the service is down": (lambda: Unavailable("down"), False),
    "the answer is lost": (lambda: Unavailable("timed out"), True),
    "the client's own retry is refused": (lambda: None, True),
    "the object was written a moment ago": (lambda: RateLimited("too many a second"), False),
}
_OF_WRITES = {"the client's own retry is refused", "the object was written a moment ago"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_whatever_breaks_wherever_the_job_ends_once_and_whole(story: Story, way: str) -> None:
    calls = _calls_of(story)
    for number, call in enumerate(calls, 1):
        if way in _OF_WRITES and not call.startswith("objects.write"):
            continue
        world = story.world()
        error, happens = WAYS[way]
        world.services.faults.fail_at(number, error(), happens=happens)
        _play(world, story, f"{way}: call {number} of {len(calls)}, {call}")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_many_faults_in_one_life_lose_nothing(story: Story, seed: int) -> None:
    """One call in six is broken, by a seed, so that a failing run can be repeated."""
    chance, world = random.Random(seed), story.world()
    for number in range(1, 60):
        if chance.random() < 1 / 6:
            error: BaseException = chance.choice([Crash(), Unavailable("down")])
            world.services.faults.fail_at(number, error, happens=chance.random() < 0.5)
    _play(world, story, f"seed {seed}", is_alone=False)


def test_submitting_makes_four_calls_and_one_attempt_nine() -> None:
    """The price of one job, of which the API's answer waits for the first four: a change of it should be meant."""
    world = STORIES["succeeds on the GPU"].world()
    world.services.objects.limits_rate = False
    job = world.submit().job
    submitting = world.services.faults.calls.copy()
    assert len(submitting) == 4, submitting
    attempt(job.job_id, 1, world.worker())
    working = world.services.faults.calls[4:]
    assert len(working) == 9, working


def _calls_of(story: Story) -> list[str]:
    world = story.world()
    _play(world, story, "nothing breaks")
    return world.services.faults.calls


def _play(world: World, story: Story, what: str, *, is_alone: bool = True) -> None:
    asked = story.asked(world.services)
    job_id = job_id_for(asked.idempotency_key)
    world.insist(asked, story.door)
    world.settle()
    _check(world, job_id, story, what, is_alone=is_alone)


def _check(world: World, job_id: str, story: Story, what: str, *, is_alone: bool) -> None:
    services, job = world.services, world.job(job_id)
    if is_alone or story.end is not State.SUCCEEDED:
        assert job.state is story.end, what
    assert job.state.is_terminal, what
    states = world.states(job_id)
    assert [state for state in states if state.is_terminal] == [job.state], what
    assert job.destination is story.destination, what

    assert services.objects.names("state", "open/") == [], what
    assert services.objects.names("state", "index/") == [f"index/{index_key(job)}"], what
    webhooks = [task.name for queue, task in services.queues.queued if queue == "webhooks"]
    assert webhooks == [f"{job_id}-1-1"], what
    assert bool(services.topics.on("dead-letters")) == (job.state is State.DEAD_LETTERED), what
    assert job.attempts_counted <= services.settings.max_attempts, what

    paths = [write.name for write in services.objects.writes if write.bucket == "results"]
    assert len(paths) == len(set(paths)), f"{what}: an artifact was written twice"
    assert (job.outcome is not None) == (job.state is State.SUCCEEDED), what
    if job.outcome is not None:
        prefix = f"{job_id}/{job.attempt}/"
        assert job.outcome.folder == f"gs://results/{prefix}", what
        whole = {f"{prefix}{name}": data for name, data in ARTIFACTS.items()}
        assert {name: services.objects.data("results", name) for name in services.objects.names("results", prefix)} == (
            whole
        ), what
        assert [artifact.name for artifact in job.outcome.artifacts] == list(ARTIFACTS), what
