"""Fault 23: storage that refuses, cuts, shortens and garbles, wherever it is asked."""

from __future__ import annotations

from shared.job import Job
from tests.chaos.catalogue import scenario
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Hub


def both(hub: Hub, *, hook: bool = False) -> list[Job]:
    """One job on each route, side by side, ended."""
    ids = [hub.upload(operations=operation, has_hook=hook) for operation in ("transcribe", "probe")]
    return [hub.ended(job_id) for job_id in ids]


@scenario(23, promises=(1, 5), is_cheap=True, parts=("429 and 503",))
def storage_says_429_and_503(hub: Hub) -> None:
    for at in (r"storage write local-state jobs/.*", r"storage (read|peek) .*", r"storage write local-results .*"):
        hub.put(Fault(at, Way.REFUSE_429, nth=2, times=2), Fault(at, Way.REFUSE_503, nth=2, times=2))
    for job in both(hub):
        assert job.state == "succeeded"


@scenario(23, promises=(3, 5), parts=("a source",))
def a_source_is_cut_short_or_garbled(hub: Hub) -> None:
    # Once each: what is cut short is read on from there, by a call of another name.
    for way in (Way.SHORT_READ, Way.CORRUPT):
        hub.put(Fault(r"storage read local-uploads .*", way))
        job_id = hub.announced(operations=["probe"])
        assert hub.ended(job_id).state == "succeeded"
        assert not hub.plan.waiting(), way


@scenario(23, promises=(1, 4), parts=("a record",))
def a_record_is_garbled_or_cut_short_on_its_way(hub: Hub) -> None:
    for way in (Way.SHORT_READ, Way.CORRUPT):
        hub.put(Fault(r"storage read local-state jobs/.*", way, nth=2, times=4))
        for job in both(hub):
            assert job.state == "succeeded"


@scenario(23, promises=(1, 4), parts=("a race",))
def somebody_else_writes_the_record_first(hub: Hub) -> None:
    """A 412 that is meant, at every write but the first; and one against one's own write, whose answer was lost."""
    for way in (Way.RIVAL, Way.LOSE_ANSWER):
        hub.put(Fault(r"storage write local-state jobs/.*", way, nth=2, times=4))
        for job in both(hub):
            assert (job.state, job.attempts_counted) == ("succeeded", 1)
