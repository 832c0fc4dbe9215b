"""Where an attempt gets its media from: fetched whole, or read in place by a job that looks at little of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import JobError, SourceMissing, Unavailable
from shared.job import Source, State
from shared.operations import Loudness, Operation, Probe, Shots, Thumbnails, Transcribe
from shared.processor import Report, Result
from shared.source import RemoteObject, WholeNeeded, open_source
from shared.source import Source as Media
from tests.fakes.processor import Step, fail, succeed
from tests.fakes.world import MP4, World, request
from tests.unit.attempts import submitted, try_once

LARGE = bytes(range(256)) * 2**15  # 8 MiB


@pytest.fixture
def world() -> World:
    return World()


def seen_by(sources: list[Media], then: Step | None = None) -> Step:
    def step(source: Media, folder: Path, report: Report) -> Result:
        sources.append(source)
        return (then or succeed())(source, folder, report)

    return step


def asking(world: World, *operations: Operation, data: bytes = LARGE, generation: int | None = None):  # type: ignore[no-untyped-def]
    put = world.services.objects.put("uploads", "film.mp4", data)
    source = Source(uri="gs://uploads/film.mp4", generation=generation or put)
    return request(
        world.services, source=source, operations=operations, file=MP4.model_copy(update={"size": len(data)})
    )


@pytest.mark.parametrize(
    "operations",
    [(Probe(),), (Thumbnails(),), (Probe(), Thumbnails(seconds=(1.0, 2.0)))],
    ids=lambda operations: "+".join(each.name for each in operations),
)
def test_who_only_glances_reads_a_large_object_in_place(operations: tuple[Operation, ...], world: World) -> None:
    sources: list[Media] = []
    _, done = try_once(world, submitted(world, asking(world, *operations)), seen_by(sources))
    assert done.state is State.SUCCEEDED
    (source,) = sources
    assert isinstance(source, RemoteObject)
    with open_source(source) as file:
        file.seek(-3, 2)
        assert (source.size, file.read()) == (len(LARGE), LARGE[-3:])
    assert not [call for call in world.services.faults.calls if call.startswith("objects.download")]


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ((Probe(), Loudness()), LARGE),
        ((Shots(),), LARGE),
        ((Transcribe(),), LARGE),
        ((Thumbnails(count=100),), LARGE),
        ((Thumbnails(seconds=tuple(range(50))),), LARGE),
        ((Thumbnails(per="shot"),), LARGE),
        ((Probe(),), b"a small file"),
    ],
    ids=["sound", "shots", "speech", "many pictures", "many moments", "all shots", "small"],
)
def test_everybody_else_gets_a_checked_copy(operations: tuple[Operation, ...], data: bytes, world: World) -> None:
    sources: list[Media] = []
    try_once(world, submitted(world, asking(world, *operations, data=data)), seen_by(sources))
    assert isinstance(sources[0], Path)
    assert not [call for call in world.services.faults.calls if call.startswith("objects.read_range")]


def test_an_object_of_which_all_is_needed_after_all_is_fetched_and_checked(world: World) -> None:
    sources: list[Media] = []
    job = submitted(world, asking(world, Probe()))
    _, done = try_once(world, job, seen_by(sources, fail(WholeNeeded("all of it"))), seen_by(sources))
    assert [type(source) for source in sources] == [RemoteObject, type(Path())]
    assert (done.state, done.attempts_counted) == (State.SUCCEEDED, 1)
    assert len([call for call in world.services.faults.calls if call.startswith("objects.download")]) == 1


def test_an_object_that_was_overwritten_is_missing_and_never_read_as_the_other(world: World) -> None:
    job = submitted(world, asking(world, Probe()))
    world.services.objects.put("uploads", "film.mp4", LARGE[::-1])
    _, done = try_once(world, job)
    assert done.failure is not None
    assert (done.state, done.failure.code) == (State.FAILED, "source_missing")


@pytest.mark.parametrize(
    ("fault", "state", "code"),
    [
        (SourceMissing("no object film.mp4, or not in that generation"), State.FAILED, "source_missing"),
        (Unavailable("storage is down"), State.QUEUED, "unavailable"),
    ],
)
def test_faults_of_storage_in_the_middle_of_reading_are_what_they_are(
    fault: JobError, state: State, code: str, world: World
) -> None:
    job = submitted(world, asking(world, Probe()))
    world.services.faults.fail_next("objects.read_range", fault)
    _, after_it = try_once(world, job)
    assert after_it.failure is not None
    assert (after_it.state, after_it.failure.code) == (state, code)
