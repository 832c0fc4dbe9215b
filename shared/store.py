"""The jobs' records, markers and index, as objects in the state bucket.

jobs/<job_id>.json                the record
open/<caller>/<job_id>[-<submission>]   a marker for the sweep: written before the record, removed when all is done;
                                  -0 is a ticket's, which counts against its caller's allowance until the file comes
index/<inverted time>-<job_id>    written once, so that "newest first" is a listing
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from pydantic import ValidationError

from shared.errors import RateLimited, RecordUnreadable
from shared.job import Job, State
from shared.journal import is_change
from shared.objects import Objects, StoredObject

_log = logging.getLogger(__name__)

#: Seconds a state change waits for storage's limit of about one write a second per object, and how often.
_RATE_LIMIT_PAUSE_SECONDS: Final = 1.0
_RATE_LIMIT_PAUSES: Final = 15
#: A marker that is older is written anew by who needs it: what it is for follows long before the sweep gives it up.
YOUNG_SECONDS: Final = 60.0
_INDEX_ORIGIN: Final = 10**14  # milliseconds; beyond the year 5000, so inverted times keep 14 digits


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A record as read: its generation fences writes, its age (storage's clock) tells whether a lease lives."""

    job: Job
    generation: int
    age_seconds: float
    #: Storage's time when it answered.
    now: datetime

    @property
    def last_beat(self) -> datetime:
        """When the record was last written: of a running job, the last that was heard of its worker."""
        return self.now - timedelta(seconds=self.age_seconds)

    def has_live_lease(self, lease_seconds: float) -> bool:
        return self.job.state is State.RUNNING and self.age_seconds < lease_seconds

    def is_waiting(self, lease_seconds: float) -> bool:
        """Queued, or running under an expired lease."""
        return not self.job.state.is_terminal and not self.has_live_lease(lease_seconds)


@dataclass(frozen=True, slots=True)
class Marker:
    """Says that a submission of a job is under way.

    Each submission has its own: who concludes one takes no marker away from the next, whenever that is redriven.
    """

    job_id: str
    #: Who submitted it: an API key's name, or "upload".
    caller: str
    #: 0: none yet, but the caller holds a ticket for the file.
    submission: int = 1

    @classmethod
    def of(cls, job: Job) -> Marker:
        """That of the job's present submission."""
        return cls(job.job_id, job.caller, job.submission)

    @classmethod
    def of_ticket(cls, job_id: str, caller: str) -> Marker:
        """That of a job whose file is still to come; it has no record."""
        return cls(job_id, caller, 0)

    @classmethod
    def named(cls, object_name: str) -> Marker | None:
        """None: it bears the name of none."""
        caller, _, rest = object_name.removeprefix("open/").rpartition("/")
        job_id, _, submission = rest.partition("-")
        if not (caller and job_id and (submission or "1").isdecimal()):
            return None
        marker = cls(job_id, caller, int(submission or 1))
        return marker if marker.object_name == object_name else None

    @property
    def object_name(self) -> str:
        """Those of one caller lie together, so that they can be counted."""
        return f"open/{self.caller}/{self.job_id}" + (f"-{self.submission}" if self.submission != 1 else "")


class JobStore:
    """Reads and writes records; every change is a conditional upload, tried again when somebody was quicker.

    `tell` gets what was written over what, once that is known to stand.
    """

    def __init__(
        self,
        objects: Objects,
        bucket: str,
        *,
        tell: Callable[[Job | None, Job], None] = lambda before, after: None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._tell = tell
        self._wait = wait

    def get(self, job_id: str) -> Snapshot | None:
        """Raises RecordUnreadable."""
        stored = self._objects.read(self._bucket, _record(job_id))
        if stored is None:
            return None
        try:
            job = Job.model_validate_json(stored.data)
        except ValidationError as cause:
            raise RecordUnreadable(f"the record of {job_id} does not parse: {cause.error_count()} faults") from cause
        return Snapshot(job, stored.generation, stored.age_seconds, stored.now)

    def create(self, job: Job) -> bool:
        """True when this call made the record; False when there is one already."""
        try:
            is_new = self._write(job, 0) is not None
        except RateLimited:
            # Written just now, be it by the client's own first try.
            if self.get(job.job_id) is None:
                raise
            is_new = False
        # The very same record is our own, whose answer was lost.
        if is_new or ((seen := self.get(job.job_id)) is not None and seen.job == job):
            self._tell(None, job)
        return is_new

    def update(self, job_id: str, change: Callable[[Snapshot], Job | None], *, touch: bool = False) -> Snapshot | None:
        """Apply `change` to the record until the write holds; answers the record as it then stands.

        `change` answers None to leave the record alone, and is asked anew after every lost race, so it must
        decide from what it is given. An unchanged record is written only with `touch`: renewing a lease is a
        write whose sole content is its time. None when there is no record.
        """
        pauses = 0
        before = attempted = None
        while (seen := self.get(job_id)) is not None:
            if attempted is not None and seen.job == attempted:
                # Our own write, whose answer was lost.
                self._tell(before, attempted)
                return seen
            changed = change(seen)
            if changed is None or (changed == seen.job and not touch):
                return seen
            # Whatever the answer will be: the client's own second try may meet 412, or 429.
            before, attempted = (seen.job, changed) if is_change(seen.job, changed) else (None, None)
            try:
                generation = self._write(changed, seen.generation)
            except RateLimited:
                if pauses == _RATE_LIMIT_PAUSES:
                    raise
                pauses += 1
                self._wait(_RATE_LIMIT_PAUSE_SECONDS)
                continue
            if generation is not None:
                self._tell(seen.job, changed)
                return Snapshot(changed, generation, 0.0, seen.now)
        return None

    def _write(self, job: Job, if_generation: int) -> int | None:
        return self._objects.write(
            self._bucket, _record(job.job_id), job.model_dump_json().encode(), if_generation=if_generation
        )

    def mark_open(self, marker: Marker) -> None:
        """See that the marker is there and young: one that a crash left, the sweep may be about to take away."""
        name = marker.object_name
        while self._objects.write(self._bucket, name, b"", if_generation=0) is None:
            there = self.marked(marker)
            if there is None:
                continue
            if there.age_seconds < YOUNG_SECONDS:
                return
            if self._objects.write(self._bucket, name, b"", if_generation=there.generation) is not None:
                return

    def mark_closed(self, marker: Marker, *, if_generation: int | None = None) -> None:
        """Take the marker away, if it is still the one of that generation."""
        self._objects.delete(self._bucket, marker.object_name, if_generation=if_generation)

    def marked(self, marker: Marker) -> StoredObject | None:
        """The marker as it lies there, for its age and generation."""
        return self._objects.read(self._bucket, marker.object_name)

    def markers(self) -> Iterator[Marker]:
        for name in self._objects.list(self._bucket, prefix="open/"):
            marker = Marker.named(name)
            if marker is None:
                _log.warning("no marker: %s", name, extra={"event": "marker.foreign"})
            else:
                yield marker

    def open_jobs(self) -> Iterator[str]:
        """Every job that has a marker, once; tickets are no jobs yet."""
        markers = (marker for marker in self.markers() if marker.submission)
        for job_id, _ in groupby(markers, key=lambda marker: marker.job_id):
            yield job_id

    def count_open(self, caller: str, *, limit: int) -> int:
        """How many open jobs and tickets the caller has, up to `limit`: one listing, however many others there are."""
        return sum(1 for _ in self._objects.list(self._bucket, prefix=f"open/{caller}/", limit=limit))

    def add_to_index(self, job: Job) -> None:
        self._objects.write(self._bucket, f"index/{index_key(job)}", b"", if_generation=0)

    def newest(self, *, start: str | None, limit: int) -> Iterator[str]:
        """Index keys, newest job first, from key `start` (inclusive) on."""
        first = f"index/{start}" if start else None
        for name in self._objects.list(self._bucket, prefix="index/", start=first, limit=limit):
            yield name.removeprefix("index/")


def index_key(job: Job) -> str:
    milliseconds = int(job.created_at.timestamp() * 1000)
    return f"{_INDEX_ORIGIN - milliseconds:014d}-{job.job_id}"


def job_id_of(index_key: str) -> str:
    return index_key.partition("-")[2]


def _record(job_id: str) -> str:
    return f"jobs/{job_id}.json"
