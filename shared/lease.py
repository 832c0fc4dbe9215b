"""The lease: time-limited ownership of a job by one attempt, measured on storage's clock, and its beat."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Self

from shared.errors import JobError, TooLong
from shared.job import Job, Progress, State
from shared.machines import Place
from shared.services import Services
from shared.store import Snapshot
from shared.time_limit import NO_LIMIT, Stopping, TimeLimit

_log = logging.getLogger(__name__)

#: SIGKILL follows SIGTERM after 10 s; work that ends sooner than this may end.
_STOP_PATIENCE_SECONDS: Final = 5.0
#: The stage before the work proper.
FETCHING: Final = "fetch"


class Claim(StrEnum):
    TAKEN = "taken"
    #: Running under somebody's live lease.
    HELD = "held"
    #: Terminal, redriven under a newer submission, or without a record: nothing to do.
    OVER = "over"
    #: All attempts are used up, or it was handed back too often.
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Taken:
    claim: Claim
    job: Job | None


def take(job_id: str, submission: int, owner: str, services: Services, place: Place | None = None) -> Taken:
    """Take the job's lease for `owner` (unique to this one try), who works at `place`, or say why not."""
    settings = services.settings

    def judge(seen: Snapshot) -> Claim:
        job = seen.job
        if job.owner == owner and job.state is State.RUNNING:
            return Claim.TAKEN
        if job.submission != submission or job.state.is_terminal:
            return Claim.OVER
        if seen.has_live_lease(settings.lease_seconds):
            return Claim.HELD
        return Claim.EXHAUSTED if job.is_used_up(settings.max_attempts) else Claim.TAKEN

    def change(seen: Snapshot) -> Job | None:
        if judge(seen) is not Claim.TAKEN or seen.job.owner == owner:
            return None
        return seen.job.leased(owner, services.now(), place, last_beat=seen.last_beat)

    seen = services.store.update(job_id, change)
    return Taken(judge(seen), seen.job) if seen else Taken(Claim.OVER, None)


class LeaseLost(JobError):
    """Another attempt took over, or the job was cancelled: nothing this attempt did may be recorded."""

    code = "lease_lost"


class Beat:
    """Keeps one lease alive while its work goes on; the only writer of a running job's record.

    Every beat extends the message's ack deadline (`extend`) and renews the lease, merging what progress there
    is; progress alone is written at most every PROGRESS_SECONDS. `report` is for the working thread: it raises
    LeaseLost, Stopping or TooLong as soon as that is known, and so ends the work. When the worker is told to stop
    and the working thread reports nothing, deep in a model, the beat itself hands the job back; when its time is up,
    `end_deaf` is told why, and puts the job down.
    """

    def __init__(
        self,
        job: Job,
        services: Services,
        *,
        extend: Callable[[], None],
        limit: TimeLimit = NO_LIMIT,
        stop: threading.Event | None = None,
        end_deaf: Callable[[Stopping | TooLong], object] = lambda why: None,
    ) -> None:
        self._job = job
        self._services = services
        self._extend = extend
        self._end_deaf = end_deaf
        self._limit = limit
        self._stop = stop or threading.Event()
        self._done = threading.Event()
        self._is_lost = threading.Event()
        self._is_handed_back = threading.Event()
        self._progress: Progress | None = None
        #: The stage that is on, and when it began, on the monotonic clock.
        self._stage: tuple[str | None, float] = (None, time.monotonic())
        #: When this attempt first heard that the worker stops, on the monotonic clock.
        self._stops_since: float | None = None
        #: When the work proper began, on the monotonic clock, and at how many percent; None until it does.
        self._began: tuple[float, float] | None = None
        # In this thread's context, so that its lines carry the job's labels, too.
        run = partial(copy_context().run, self._run)
        self._thread = threading.Thread(target=run, name=f"beat-{job.job_id[:8]}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """No write after this: the outcome is recorded without a rival in this process."""
        self._done.set()
        self._thread.join()

    def report(self, stage: str, percent: float) -> None:
        """Note the progress of the whole job; raises LeaseLost, Stopping or TooLong."""
        self._tell_stage(stage)
        self._progress = Progress(stage=stage, percent=round(percent, 1), eta_seconds=self._eta(stage, percent))
        if self._is_handed_back.is_set() or self._must_stop():
            raise Stopping("the worker stops and this work cannot end in time")
        if self._is_lost.is_set():
            raise LeaseLost("the lease is another's, or the job was cancelled")
        self._limit.check_now()

    def _tell_stage(self, stage: str) -> None:
        """One line for each stage that begins, with how long the one before took."""
        before, began = self._stage
        if stage == before:
            return
        now = time.monotonic()
        self._stage = (stage, now)
        fields = {"event": "job.stage", "stage": stage, "before": before, "seconds": round(now - began, 3)}
        _log.info("stage %s", stage, extra=fields)

    def _eta(self, stage: str, percent: float) -> float | None:
        """By the pace of the work alone: how long it took to fetch the file says nothing of what is to come."""
        if stage == FETCHING:
            self._began = None
            return None
        now = time.monotonic()
        began, done_before = self._began = self._began or (now, percent)
        done = percent - done_before
        return round((now - began) * (100 - percent) / done, 1) if done >= 1 else None

    def _must_stop(self) -> bool:
        if not self._stop.is_set():
            return False
        now = time.monotonic()
        self._stops_since = self._stops_since or now
        eta = self._progress.eta_seconds if self._progress else None
        return eta is None or eta > _STOP_PATIENCE_SECONDS or now - self._stops_since > _STOP_PATIENCE_SECONDS

    def _run(self) -> None:
        try:
            self._keep()
        finally:
            # Nobody renews it any more, whatever the reason.
            if not self._done.is_set():
                self._is_lost.set()

    def _keep(self) -> None:
        settings = self._services.settings
        written: Progress | None = None
        written_at = extended_at = time.monotonic()
        while not self._done.wait(settings.progress_seconds) and not self._is_lost.is_set():
            now = time.monotonic()
            # First whether its time is up: the platform's SIGTERM, which comes then, is no reason to try again.
            if why := self._overtime():
                self._tried(partial(self._put_down, why))
                continue
            if self._must_stop():
                self._tried(self._hand_back)
                continue
            if now - extended_at >= settings.beat_seconds and self._tried(self._extend):
                extended_at = now
            if self._progress != written or now - written_at >= settings.beat_seconds:
                written, written_at = self._progress, now
                self._tried(partial(self._renew, written))

    def _tried(self, step: Callable[[], None]) -> bool:
        """One half of a beat: neither the lease nor the ack deadline waits for the other's service."""
        try:
            step()
        except JobError as error:
            # The next beat tries again; the lease outlasts several.
            _log.warning("a beat failed", extra={"event": "lease.beat_failed", "error": error.reason_code})
            return False
        return True

    def _renew(self, progress: Progress | None) -> None:
        def change(seen: Snapshot) -> Job | None:
            return seen.job.renewed(progress) if is_owners(seen.job, self._job) else None

        seen = self._services.store.update(self._job.job_id, change, touch=True)
        if seen is None or not is_owners(seen.job, self._job):
            self._is_lost.set()

    def _overtime(self) -> Stopping | TooLong | None:
        try:
            self._limit.check_now(is_deaf=True)
        except (Stopping, TooLong) as why:
            return why
        return None

    def _put_down(self, why: Stopping | TooLong) -> None:
        self._end_deaf(why)
        self._is_handed_back.set()
        self._is_lost.set()

    def _hand_back(self) -> None:
        def change(seen: Snapshot) -> Job | None:
            return seen.job.handed_back(self._services.now()) if is_owners(seen.job, self._job) else None

        self._services.store.update(self._job.job_id, change)
        self._is_handed_back.set()
        self._is_lost.set()


def is_owners(job: Job, mine: Job) -> bool:
    """Does the record still belong to the attempt that took `mine`?"""
    return (
        job.state is State.RUNNING
        and job.attempt == mine.attempt
        and job.owner == mine.owner
        and job.submission == mine.submission
    )
