"""Whether a job that waits was missed, or has only not had its turn yet.

A message may be lost, or may never have been sent; from outside that looks like waiting. Sending one more for every job
that waits would fill its queue with copies, which limits of the backlog would take for jobs. Queues keep their order
roughly, so a job is missed only when one of these holds:

* nobody is at work where it waits, and it is among the oldest there;
* one that came long after it was taken before it;
* it is the oldest, and for long nobody was taken.
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
        #: When a job was taken last, by destination.
        self._taken: dict[Destination | None, datetime] = {}
        #: When those at work had come into their queue, the latest of them, by lane.
        self._latest: dict[_Lane, datetime] = {}
        waiting: dict[_Lane, list[Turn]] = defaultdict(list)
        for turn in turns:
            if turn.started_at is None:
                waiting[turn.lane].append(turn)
                continue
            destination, _ = turn.lane
            self._taken[destination] = max(turn.started_at, self._taken.get(destination, turn.started_at))
            self._latest[turn.lane] = max(turn.queued_at, self._latest.get(turn.lane, turn.queued_at))
        lanes = (sorted(lane, key=lambda turn: (turn.queued_at, turn.job_id)) for lane in waiting.values())
        self._order = {turn.job_id: number for lane in lanes for number, turn in enumerate(lane)}

    def is_missed(self, job: Job, now: datetime, patience: timedelta) -> bool:
        """Is it likely that nobody was sent this job, which waits? What takes less than `patience` is not long."""
        order = self._order.get(job.job_id, 0)
        taken = self._taken.get(job.destination)
        if taken is None:
            return order < _OLDEST
        # A high job is to be taken before any other.
        behind = Priority if job.priority is Priority.HIGH else (job.priority,)
        latest = [at for priority in behind if (at := self._latest.get((job.destination, priority)))]
        is_overtaken = any(at > job.queued_at + patience for at in latest)
        return is_overtaken or (order == 0 and now - taken >= patience)
