"""Whether a job that waits was missed, or has only not had its turn yet.

A message may be lost, or may never have been sent; from outside that looks like waiting. Sending one more for every job
that waits would fill its queue with copies, which limits of the backlog would take for jobs. Queues keep their order
roughly, so a job is missed only when one of these holds:

* nobody is at work where it waits, and it is among the oldest there;
* one that came long after it was taken before it;
* it is the oldest, and for long nobody was taken.

GPU workers take a high job before any other. The CPU's lanes are two queues with places of their own, of which neither
tells anything of the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from shared.job import Job
from shared.lanes import Priority
from shared.routing import Destination

#: So many of a lane are sent again at once where nobody is at work: enough to set it going, however many wait.
_OLDEST: Final = 100

_Lane = tuple[Destination | None, Priority]
#: Where one job's turn comes before another's: a lane of the CPU, or both of the GPU, or of GKE.
_Queue = tuple[Destination | None, Priority | None]


@dataclass(frozen=True, slots=True)
class Turn:
    """An open job: since when it waits, or, with `started_at`, that somebody is at work on it."""

    job_id: str
    lane: _Lane
    queued_at: datetime
    started_at: datetime | None

    @classmethod
    def of(cls, job: Job, *, at_work: bool) -> Self:
        return cls(job.job_id, (job.destination, job.priority), job.queued_at, job.started_at if at_work else None)


class Turns:
    """The turns of all open jobs, at one moment."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        #: When a job was taken last.
        self._taken: dict[_Queue, datetime] = {}
        #: When those at work had come into their queue, the latest of them, by lane.
        self._latest: dict[_Lane, datetime] = {}
        waiting: dict[_Lane, list[Turn]] = defaultdict(list)
        for turn in turns:
            if turn.started_at is None:
                waiting[turn.lane].append(turn)
                continue
            queue = _queue(turn.lane)
            self._taken[queue] = max(turn.started_at, self._taken.get(queue, turn.started_at))
            self._latest[turn.lane] = max(turn.queued_at, self._latest.get(turn.lane, turn.queued_at))
        lanes = (sorted(lane, key=lambda turn: (turn.queued_at, turn.job_id)) for lane in waiting.values())
        self._order = {turn.job_id: number for lane in lanes for number, turn in enumerate(lane)}

    def is_missed(self, job: Job, now: datetime, patience: timedelta) -> bool:
        """Is it likely that nobody was sent this job, which waits? What takes less than `patience` is not long."""
        order = self._order.get(job.job_id, 0)
        taken = self._taken.get(_queue((job.destination, job.priority)))
        if taken is None:
            return order < _OLDEST
        goes_before_all = job.priority is Priority.HIGH and job.destination is not Destination.CPU
        behind = Priority if goes_before_all else (job.priority,)
        latest = [at for priority in behind if (at := self._latest.get((job.destination, priority)))]
        is_overtaken = any(at > job.queued_at + patience for at in latest)
        return is_overtaken or (order == 0 and now - taken >= patience)


def _queue(lane: _Lane) -> _Queue:
    destination, priority = lane
    return (destination, priority if destination is Destination.CPU else None)
