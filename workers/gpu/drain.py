"""The loop of a GPU worker: pull as many messages as there are free places, attempt each, answer each."""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

from shared.attempt_ends import Verdict
from shared.dead_letters import give_up, give_up_unreadable
from shared.errors import InvalidRequest, JobError, RetryableError, Unavailable
from shared.events import JobMessage, job_message, traceparent
from shared.job import Failure, Job
from shared.pubsub import Delivery, Subscription
from shared.routing import Destination
from shared.work import attempt
from shared.worker import Worker
from workers.heartbeat import Heartbeat

_log = logging.getLogger(__name__)

#: Seconds one pull waits for messages; also how soon a stop is noticed.
_PULL_SECONDS: Final = 3.0
#: A drainer takes nothing new when less than this is left of its task.
_LAST_CALL_SECONDS: Final = 30.0
#: So often a message may come again of a job that the sweep is to move.
_TIMES_FOR_THE_SWEEP: Final = 3


@dataclass
class Drain:
    """One worker process on one subscription."""

    worker: Worker
    subscription: Subscription
    #: Leave after so long without a message; None to serve without end.
    idle_seconds: float | None
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    _working: set[Future[None]] = field(default_factory=set)
    #: Messages whose job has a live lease elsewhere, and when to look again: held, never nacked.
    _parked: dict[str, tuple[Delivery, float]] = field(default_factory=dict)

    def run(self) -> None:
        """Work until idle, out of time, or told to stop; what is held by then is finished or handed back.

        Raises Misconfigured when there is no subscription.
        """
        with ThreadPoolExecutor(self.worker.services.settings.worker_concurrency, "attempt") as pool:
            try:
                self._work(pool)
            finally:
                self._finish()

    def _work(self, pool: ThreadPoolExecutor) -> None:
        settings = self.worker.services.settings
        # Nobody is idle before the first look.
        idle_since = math.inf
        while not self._is_over(idle_since):
            self.heartbeat.beat()
            self._reap()
            free = settings.worker_concurrency - len(self._working)
            if not free:
                wait(self._working, timeout=settings.beat_seconds, return_when=FIRST_COMPLETED)
                self._look_at_parked(None)
                idle_since = time.monotonic()
                continue
            if self._look_at_parked(pool):
                continue
            pulled = self._pull(free)
            idle_since = time.monotonic() if pulled else min(idle_since, time.monotonic())
            for delivery in pulled:
                self._working.add(pool.submit(self._answer, delivery))

    def _finish(self) -> None:
        """Take nothing more, and beat until what is at work is done: a probe would end it for a loop that hangs."""
        seconds = self.worker.services.settings.beat_seconds
        while wait(self._working, timeout=seconds).not_done:
            self.heartbeat.beat()
        for delivery, _ in self._parked.values():
            self._nack(delivery)
        self._reap()

    def _reap(self) -> None:
        """Forget what is done; a bug in an answer ends the worker, loudly, and the platform starts another."""
        for future in [future for future in self._working if future.done()]:
            self._working.discard(future)
            future.result()

    def _is_over(self, idle_since: float) -> bool:
        worker = self.worker
        if self._is_closing():
            return True
        if worker.ends_at is not None and time.monotonic() > worker.ends_at - _LAST_CALL_SECONDS:
            return True
        is_idle = self.idle_seconds is not None and time.monotonic() - idle_since > self.idle_seconds
        return is_idle and not self._working and not self._parked

    def _is_closing(self) -> bool:
        return self.worker.stop.is_set() or self.worker.closing.is_set()

    def _pull(self, limit: int) -> tuple[Delivery, ...]:
        try:
            pulled = tuple(self.subscription.pull(limit, timeout_seconds=_PULL_SECONDS))
        except Unavailable as error:
            _log.warning("pull failed", extra={"event": "drain.pull_failed", "error": error.reason_code})
            self.worker.stop.wait(1.0)
            return ()
        if self._is_closing():
            for delivery in pulled:
                self._nack(delivery)
            return ()
        return pulled

    def _look_at_parked(self, pool: ThreadPoolExecutor | None) -> bool:
        """Extend what is parked, every beat; with a free place, try one again. True when one was."""
        now = time.monotonic()
        for key, (delivery, due) in list(self._parked.items()):
            if now < due:
                continue
            if pool is not None:
                del self._parked[key]
                self._working.add(pool.submit(self._answer, delivery))
                return True
            self._hold(delivery)
            self._parked[key] = (delivery, now + self.worker.services.settings.beat_seconds)
        return False

    def _answer(self, delivery: Delivery) -> None:
        try:
            self._attempt(delivery)
        except JobError as error:
            # Unanswered, the message comes again after its ack deadline.
            _log.warning("message left unanswered", extra={"event": "drain.unanswered", "error": error.reason_code})

    def _attempt(self, delivery: Delivery) -> None:
        try:
            message = job_message(delivery.data)
        except InvalidRequest as error:
            give_up_unreadable(delivery.data, delivery.message_id, error.message, self.worker.services)
            self.subscription.ack(delivery.ack_id)
            return
        if not self._is_ours(delivery, message):
            self.subscription.ack(delivery.ack_id)
            return
        trace = traceparent(delivery.attributes.get("traceparent"))
        verdict = attempt(
            message.job_id, message.submission, self.worker, extend=lambda: self._extend(delivery), trace=trace
        )
        match verdict:
            case Verdict.OVER:
                self.subscription.ack(delivery.ack_id)
            case Verdict.AGAIN:
                self.subscription.nack(delivery.ack_id)
            case Verdict.HELD:
                self._extend(delivery)
                due = time.monotonic() + self.worker.services.settings.beat_seconds
                self._parked[delivery.message_id] = (delivery, due)

    def _is_ours(self, delivery: Delivery, message: JobMessage) -> bool:
        """The subscription's filter, checked again: the emulator has none, and a wrong one loses messages."""
        services = self.worker.services
        file_type = delivery.attributes.get("fileType", "")
        if file_type in services.settings.gpu_file_types:
            return True
        seen = services.store.get(message.job_id)
        if seen is None or seen.job.submission != message.submission or seen.job.state.is_terminal:
            return False
        if self._is_moving(seen.job):
            _log.info("left to the sweep", extra={"event": "drain.moving", **seen.job.log_labels()})
            return False
        why = Failure(code="misrouted", message=f"{file_type or 'no'} type is not one this worker takes")
        give_up(seen.job, why, services)
        return False

    def _is_moving(self, job: Job) -> bool:
        """Has a deployment taken the job's type from the GPU? The sweep sends it elsewhere, if it was told so, too."""
        if job.destination is Destination.CPU:
            return True
        is_taken_away = job.file.file_type not in self.worker.services.settings.gpu_file_types
        return is_taken_away and job.times_resent < _TIMES_FOR_THE_SWEEP

    def _extend(self, delivery: Delivery) -> None:
        self.subscription.extend([delivery.ack_id], self.worker.services.settings.ack_deadline_seconds)

    def _hold(self, delivery: Delivery) -> None:
        """Extend what is parked; if that fails it comes again, and finds its place taken by itself."""
        try:
            self._extend(delivery)
        except RetryableError as error:
            _log.warning("extension failed", extra={"event": "drain.unanswered", "error": error.reason_code})

    def _nack(self, delivery: Delivery) -> None:
        try:
            self.subscription.nack(delivery.ack_id)
        except RetryableError as error:
            _log.warning("nack failed", extra={"event": "drain.unanswered", "error": error.reason_code})
