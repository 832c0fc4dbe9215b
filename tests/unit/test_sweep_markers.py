"""Markers without a record: the sweep takes them away once nobody can be about to write what they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.job import Job, State
from shared.redrive import redrive
from shared.resources import declared
from shared.settings import Settings
from shared.store import YOUNG_SECONDS, JobStore, Marker
from shared.submit import submit
from shared.sweep import sweep
from tests.fakes.services import FakeServices
from tests.fakes.world import request
from tests.unit.samples import job, job_in
from tests.unit.swept import left, markers, record_of


def test_a_marker_whose_record_was_never_written_goes_once_no_request_can_write_it_any_more(
    services: FakeServices,
) -> None:
    services.store.mark_open(Marker(job().job_id, "shop"))
    services.clock.advance(services.settings.abandoned_seconds - 1)
    assert sweep(services) == {"nothing": 1, "slots": 0}
    services.clock.advance(1)
    assert sweep(services) == {"marker": 1, "slots": 0}
    assert markers(services) == []


def test_a_marker_of_a_redrive_that_is_not_written_yet_waits_for_it(services: FakeServices) -> None:
    """A redriver may be slow, and die right after it has written."""
    failed = left(services, job_in(State.FAILED))
    services.store.mark_open(Marker(failed.job_id, failed.caller, 2))
    assert sweep(services) == {"concluded": 1, "nothing": 1, "slots": 0}
    assert markers(services) == [f"open/{failed.caller}/{failed.job_id}-2"]
    services.clock.advance(services.settings.abandoned_seconds)
    assert sweep(services) == {"marker": 1, "slots": 0}
    assert markers(services) == []


def test_a_marker_is_not_given_up_before_any_request_that_found_it_young_has_ended() -> None:
    longest = max(declared().functions[name].timeout for name in ("ingest", "on_upload"))
    assert YOUNG_SECONDS + longest < Settings.model_fields["abandoned_seconds"].default


@pytest.fixture
def half_redriven(services: FakeServices) -> Job:
    """A job that is lost, and a redrive's marker: the redrive died before it wrote the record."""
    lost = job_in(State.DEAD_LETTERED)
    services.store.create(lost)
    services.store.mark_open(Marker(lost.job_id, lost.caller, 2))
    services.clock.advance(services.settings.abandoned_seconds)
    return lost


@pytest.mark.parametrize("moment", ["get", "marked", "mark_closed"])
def test_a_redrive_that_comes_while_the_marker_of_a_dead_one_is_looked_at_has_a_marker(
    services: FakeServices, half_redriven: Job, moment: str
) -> None:
    def comes(*seen: Any, **more: Any) -> Any:
        if record_of(services, half_redriven).submission == 1:
            redrive(half_redriven.job_id, services)
        return getattr(services.store, moment)(*seen, **more)

    store = JobStore(services.objects, "state", wait=services.clock.advance)
    setattr(store, moment, comes)
    sweep(replace(services, store=store))
    assert record_of(services, half_redriven).submission == 2
    assert markers(services) == [f"open/shop/{half_redriven.job_id}-2"]


def test_a_redrive_that_has_found_a_dead_ones_marker_keeps_it(services: FakeServices, half_redriven: Job) -> None:
    """The sweep comes by between its marker and its record."""

    class Store(JobStore):
        def update(self, *seen: Any, **more: Any) -> Any:
            assert sweep(services) == {"nothing": 1, "slots": 0}
            return super().update(*seen, **more)

    redrive(half_redriven.job_id, replace(services, store=Store(services.objects, "state")))
    assert record_of(services, half_redriven).submission == 2
    assert markers(services) == [f"open/shop/{half_redriven.job_id}-2"]


def test_a_submission_that_has_found_a_dead_ones_marker_keeps_it(services: FakeServices) -> None:
    services.store.mark_open(Marker.of(job("shop\0key-1")))
    services.clock.advance(services.settings.abandoned_seconds)

    class Store(JobStore):
        def create(self, record: Job) -> bool:
            assert sweep(services) == {"nothing": 1, "slots": 0}
            return super().create(record)

    submitted = submit(request(services), replace(services, store=Store(services.objects, "state")))
    assert markers(services) == [f"open/shop/{submitted.job.job_id}"]


@pytest.mark.parametrize(("state", "kept"), [(State.QUEUED, ["-2"]), (State.FAILED, [])])
def test_the_marker_of_an_older_submission_goes_and_never_a_waiting_jobs_last(
    services: FakeServices, state: State, kept: list[str]
) -> None:
    """A job that the revision before has redriven has none but that one."""
    redriven = left(services, job_in(state))
    services.store.update(redriven.job_id, lambda seen: seen.job.model_copy(update={"submission": 2}))
    services.clock.advance(services.settings.grace_seconds)
    assert sweep(services) == {"marker": 1, "slots": 0}
    assert markers(services) == [f"open/{redriven.caller}/{redriven.job_id}{end}" for end in kept]
