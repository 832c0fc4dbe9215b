from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from shared.errors import RateLimited, Unavailable
from shared.job import Job, State
from shared.objects import StoredObject
from shared.store import YOUNG_SECONDS, JobStore, Marker, Snapshot, index_key, job_id_of
from tests.fakes.objects import FakeObjects
from tests.unit.samples import NOON, job, job_in

JOB = job()


@pytest.fixture
def objects() -> FakeObjects:
    return FakeObjects()


@pytest.fixture
def store(objects: FakeObjects) -> JobStore:
    """One record, written a minute ago."""
    store = JobStore(objects, "state", wait=objects.clock.advance)
    assert store.create(JOB)
    objects.clock.advance(60)
    return store


def resent(seen: Snapshot) -> Job:
    return seen.job.resent()


def stored(store: JobStore) -> Job:
    seen = store.get(JOB.job_id)
    assert seen is not None
    return seen.job


def test_a_record_is_read_as_it_was_written_with_its_age_by_storages_clock(store: JobStore) -> None:
    seen = store.get(JOB.job_id)
    assert seen is not None
    assert (seen.job, seen.age_seconds) == (JOB, 60)


def test_an_unknown_job_has_no_record_and_nothing_to_change(store: JobStore) -> None:
    assert store.get("0" * 32) is None
    assert store.update("0" * 32, resent) is None


def test_a_record_is_created_once(store: JobStore) -> None:
    assert not store.create(JOB.model_copy(update={"reason": "another"}))
    assert stored(store) == JOB


def test_a_record_that_does_not_parse_is_a_passing_fault_and_not_an_absent_job(
    store: JobStore, objects: FakeObjects
) -> None:
    objects.put("state", f"jobs/{JOB.job_id}.json", b'{"job_id": 1}')
    with pytest.raises(Unavailable, match="does not parse"):
        store.get(JOB.job_id)


@pytest.mark.parametrize(
    ("state", "age", "is_live", "is_waiting"),
    [
        (State.QUEUED, 0, False, True),
        (State.QUEUED, 1e6, False, True),
        (State.RUNNING, 44.9, True, False),
        (State.RUNNING, 45, False, True),
        (State.FAILED, 0, False, False),
        (State.CANCELLED, 1e6, False, False),
    ],
)
def test_a_lease_lives_by_the_age_of_the_record(state: State, age: float, is_live: bool, is_waiting: bool) -> None:
    seen = Snapshot(job_in(state), 1, age, NOON)
    assert seen.has_live_lease(45) is is_live
    assert seen.is_waiting(45) is is_waiting


def test_of_changes_at_once_none_is_lost(store: JobStore) -> None:
    number = 8
    start = threading.Barrier(number)

    def change(_: int) -> None:
        start.wait(10)
        store.update(JOB.job_id, resent)

    with ThreadPoolExecutor(number) as pool:
        list(pool.map(change, range(number)))
    assert stored(store).times_resent == number


def test_a_lost_race_asks_anew_with_what_the_winner_wrote(store: JobStore, objects: FakeObjects) -> None:
    asked: list[State] = []

    def cancel_first(seen: Snapshot) -> Job | None:
        asked.append(seen.job.state)
        if len(asked) == 1:
            store.update(JOB.job_id, lambda other: other.job.cancelled(NOON))
        return None if seen.job.state.is_terminal else seen.job.leased("worker", NOON)

    seen = store.update(JOB.job_id, cancel_first)
    assert asked == [State.QUEUED, State.CANCELLED]
    assert seen is not None
    assert seen.job.state is State.CANCELLED


def test_a_write_whose_answer_was_lost_is_found_and_not_repeated(store: JobStore, objects: FakeObjects) -> None:
    def lease_once(seen: Snapshot) -> Job | None:
        return None if seen.job.owner == "mine" else seen.job.leased("mine", NOON)

    objects.lose_next_answer("jobs/")
    seen = store.update(JOB.job_id, lease_once)
    assert seen is not None
    assert (seen.job.owner, seen.job.attempt) == ("mine", 1)
    assert stored(store) == seen.job


@pytest.mark.parametrize("answer", [None, RateLimited("the client's own second try came too soon")])
def test_a_write_that_took_effect_is_told_of_once_whatever_its_answer(
    objects: FakeObjects, answer: RateLimited | None
) -> None:
    told: list[tuple[Job | None, Job]] = []
    store = JobStore(objects, "state", tell=lambda *change: told.append(change), wait=objects.clock.advance)
    store.create(JOB)
    objects.clock.advance(60)
    objects.faults.fail_next("objects.write jobs/", answer, happens=True)
    leased = JOB.leased("mine", NOON)
    store.update(JOB.job_id, lambda seen: leased if seen.job == JOB else None)
    assert told == [(None, JOB), (JOB, leased)]


@pytest.mark.parametrize("answer", [None, RateLimited("the client's own second try came too soon")])
def test_a_create_whose_answer_was_lost_says_that_there_is_a_record_and_is_told(
    objects: FakeObjects, answer: RateLimited | None
) -> None:
    told: list[tuple[Job | None, Job]] = []
    store = JobStore(objects, "state", tell=lambda *change: told.append(change), wait=objects.clock.advance)
    objects.faults.fail_next("objects.write jobs/", answer, happens=True)
    assert not store.create(JOB)
    assert stored(store) == JOB
    assert told == [(None, JOB)]


def test_a_create_that_is_one_too_many_says_so_where_nothing_was_written(objects: FakeObjects) -> None:
    objects.faults.fail_next("objects.write jobs/", RateLimited("too many"))
    with pytest.raises(RateLimited):
        JobStore(objects, "state").create(JOB)


def test_a_change_waits_for_storages_limit_of_one_write_a_second(store: JobStore, objects: FakeObjects) -> None:
    before = objects.clock.now()
    for _ in range(3):
        store.update(JOB.job_id, resent)
    assert stored(store).times_resent == 3
    assert objects.clock.now() - before == timedelta(seconds=2)


def test_a_limit_that_never_ends_is_told_after_fifteen_pauses(store: JobStore, objects: FakeObjects) -> None:
    objects.faults.fail_next("objects.write", RateLimited("too many"), times=1000)
    before = objects.clock.now()
    with pytest.raises(RateLimited):
        store.update(JOB.job_id, resent)
    assert objects.clock.now() - before == timedelta(seconds=15)


def test_what_stays_the_same_is_written_only_when_its_time_is_the_message(
    store: JobStore, objects: FakeObjects
) -> None:
    before = len(objects.writes)
    store.update(JOB.job_id, lambda seen: seen.job)
    assert len(objects.writes) == before
    store.update(JOB.job_id, lambda seen: seen.job, touch=True)
    assert len(objects.writes) == before + 1


def test_declining_to_change_answers_the_record_as_it_stands(store: JobStore, objects: FakeObjects) -> None:
    seen = store.update(JOB.job_id, lambda _: None, touch=True)
    assert seen is not None
    assert seen.job == JOB


def test_the_index_lists_the_newest_job_first(store: JobStore) -> None:
    jobs = [job(f"key {n}", created_at=NOON + timedelta(milliseconds=ms)) for n, ms in enumerate((5, 1, 90_000, 3))]
    for one in jobs:
        store.add_to_index(one)
        store.add_to_index(one)
    newest = sorted(jobs, key=lambda one: one.created_at, reverse=True)
    listed = list(store.newest(start=None, limit=10))
    assert [job_id_of(key) for key in listed] == [one.job_id for one in newest]
    assert list(store.newest(start=index_key(newest[1]), limit=2)) == listed[1:3]


def test_a_marker_is_there_until_it_is_closed_and_may_be_set_and_closed_twice(
    store: JobStore, objects: FakeObjects
) -> None:
    marker = Marker.of(JOB)
    store.mark_open(marker)
    store.mark_open(marker)
    assert list(store.markers()) == [marker]
    store.mark_closed(marker)
    store.mark_closed(marker)
    assert list(store.markers()) == []
    assert store.marked(marker) is None


def test_a_marker_that_is_wanted_again_is_made_young_once_it_is_old(store: JobStore, objects: FakeObjects) -> None:
    marker = Marker.of(JOB)

    def found() -> tuple[int, float]:
        there = store.marked(marker)
        assert there is not None
        return there.generation, there.age_seconds

    store.mark_open(marker)
    first, _ = found()
    objects.clock.advance(YOUNG_SECONDS - 1)
    store.mark_open(marker)
    assert found() == (first, YOUNG_SECONDS - 1)
    objects.clock.advance(1)
    store.mark_open(marker)
    again, age = found()
    assert (again > first, age) == (True, 0)
    store.mark_closed(marker, if_generation=first)
    assert found() == (again, 0)
    store.mark_closed(marker, if_generation=again)
    assert store.marked(marker) is None


def test_a_marker_that_is_taken_away_while_it_is_made_young_is_there(store: JobStore, objects: FakeObjects) -> None:
    marker = Marker.of(JOB)
    store.mark_open(marker)
    objects.clock.advance(YOUNG_SECONDS)

    class Meanwhile(JobStore):
        def marked(self, marker: Marker) -> StoredObject | None:
            there = super().marked(marker)
            store.mark_closed(marker)
            objects.clock.advance(1)
            return there

    Meanwhile(objects, "state").mark_open(marker)
    assert list(store.markers()) == [marker]


def test_each_submission_has_a_marker_of_its_own(store: JobStore) -> None:
    for submission in (1, 2, 10):
        store.mark_open(Marker(JOB.job_id, JOB.caller, submission))
    store.mark_closed(Marker.of(JOB))
    assert {marker.submission for marker in store.markers()} == {2, 10}
    assert list(store.open_jobs()) == [JOB.job_id]


@pytest.mark.parametrize("name", ["open/film.mp4", "open/upload/film-final", "open/upload/", "open/upload/abc-01"])
def test_what_bears_no_markers_name_hides_no_marker(name: str, store: JobStore, objects: FakeObjects) -> None:
    marker = Marker.of(JOB)
    store.mark_open(marker)
    objects.write("state", name, b"", if_generation=0)
    assert list(store.markers()) == [marker]
