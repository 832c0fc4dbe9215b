"""How an attempt ends: what its record says from then on, and what becomes of the message that brought the job.

Each end is written only as long as the record is still this attempt's; whoever else owns it by then is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum

from shared.conclude import conclude
from shared.dead_letters import give_up
from shared.errors import JobError, MachineFault, TooLong
from shared.job import Failure, Job, State
from shared.lease import is_owners
from shared.routing import Destination
from shared.services import Services
from shared.store import Snapshot
from shared.submit import send
from shared.time_limit import Stopping
from shared.worker import Worker

_log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What becomes of the message that brought the job here."""

    #: The job is terminal (or moved on): acknowledge.
    OVER = "over"
    #: A live lease is elsewhere: hold the message.
    HELD = "held"
    #: The job waits for another attempt: give the message back.
    AGAIN = "again"


def end(job: Job, services: Services, outcome: Callable[[Job], Job]) -> Verdict:
    """Record a terminal outcome, fenced by the lease, and conclude.

    A job that the beat handed back meanwhile is queued: another worker is called to it.
    """
    seen = _change_mine(job, services, outcome)
    if seen is not None and seen.job.submission == job.submission and seen.job.state.is_terminal:
        conclude(seen.job, services)
    return _call_another(job, _verdict(job, seen), services)


def retry(job: Job, failure: Failure, services: Services) -> Verdict:
    """Back to the queue; after the last attempt, the dead letter."""
    seen = _change_mine(job, services, lambda mine: mine.retried(failure, services.now()))
    verdict = _verdict(job, seen)
    if seen is not None and verdict is Verdict.AGAIN and seen.job.is_used_up(services.settings.max_attempts):
        give_up(seen.job, seen.job.exhausted(), services)
        return Verdict.OVER
    return verdict


def leave(job: Job, fault: MachineFault, worker: Worker) -> Verdict:
    """The job goes back as after any fault that passes, and the worker takes no more: every job would fail here."""
    _log.critical("this machine is at fault", extra={"event": "worker.machine_fault", "error": fault.message})
    worker.closing.set()
    verdict = retry(job, Failure(code=fault.reason_code, message=fault.message), worker.services)
    return _call_another(job, verdict, worker.services)


def out_of_time(job: Job, why: Stopping | TooLong, worker: Worker) -> Verdict:
    """Hand back what a fresh process has time for; what none has is put right at once."""
    if isinstance(why, TooLong):
        return _too_long(job, why, worker.services)
    worker.closing.set()
    return let_go(job, why, worker.services)


def let_go(job: Job, signal: JobError, services: Services) -> Verdict:
    """Hand the job back uncounted, or leave it to whoever owns it now."""
    _log.info("attempt ended early", extra={"event": f"job.{signal.reason_code}"})
    verdict = _verdict(job, _change_mine(job, services, lambda mine: mine.handed_back(services.now())))
    return _call_another(job, verdict, services) if isinstance(signal, Stopping) else verdict


def _call_another(job: Job, verdict: Verdict, services: Services) -> Verdict:
    """Where workers pull, a new message, since this one goes: the bell of the old one fell silent at the pick-up."""
    if verdict is not Verdict.AGAIN or job.destination is Destination.CPU:
        return verdict
    send(job, services)
    return Verdict.OVER


def _too_long(job: Job, error: TooLong, services: Services) -> Verdict:
    """What fits no attempt of a Cloud Run Job goes to GKE, whose pods have no end, or fails at once."""
    if not may_move(job, services):
        failure = Failure(code=error.reason_code, message=error.message)
        return end(job, services, lambda mine: mine.failed(failure, services.now()))
    reroute = {"destination": Destination.GKE, "reason": f"gke: {error.message}"}
    seen = _change_mine(job, services, lambda mine: mine.handed_back(services.now(), **reroute))
    verdict = _verdict(job, seen)
    if seen is not None and verdict is Verdict.AGAIN:
        send(seen.job, services)
        return Verdict.OVER
    return verdict


def may_move(job: Job, services: Services) -> bool:
    # GKE, too: a Cloud Run Job's execution that got the GPU message of a job on its way there sends it on once more.
    return job.destination in (Destination.GPU, Destination.GKE) and services.settings.enable_gke_route


def _verdict(job: Job, seen: Snapshot | None) -> Verdict:
    """What becomes of this attempt's message, by the record as its end left it; that may be another's by now."""
    if seen is None or seen.job.submission != job.submission or seen.job.state.is_terminal:
        return Verdict.OVER
    return Verdict.HELD if seen.job.state is State.RUNNING else Verdict.AGAIN


def _change_mine(job: Job, services: Services, change: Callable[[Job], Job]) -> Snapshot | None:
    """Change the record if it is still this attempt's; answers it as it then stands."""

    def fenced(seen: Snapshot) -> Job | None:
        return change(seen.job) if is_owners(seen.job, job) else None

    return services.store.update(job.job_id, fenced)
