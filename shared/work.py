"""One attempt at one job: lease, fetch, process, write artifacts, record the outcome, conclude."""

from __future__ import annotations

import errno
import logging
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from shared import log
from shared.artifact_upload import upload_artifacts
from shared.conclude import conclude
from shared.dead_letters import give_up
from shared.errors import JobError, MachineFault, PermanentError, RetryableError, TooLong
from shared.job import Failure, Job, Outcome, State
from shared.job_source import obtain
from shared.lease import Beat, Claim, LeaseLost, Taken, is_owners, take
from shared.machines import Machine, Place, Startup
from shared.processor import Processor, Result
from shared.routing import Destination
from shared.services import Services
from shared.source import Source, WholeNeeded
from shared.store import Snapshot
from shared.submit import send
from shared.time_limit import OutOfTime, Pace, Stopping, TimeLimit

_log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What becomes of the message that brought the job here."""

    #: The job is terminal (or moved on): acknowledge.
    OVER = "over"
    #: A live lease is elsewhere: hold the message.
    HELD = "held"
    #: The job waits for another attempt: give the message back.
    AGAIN = "again"


@dataclass(frozen=True)
class Worker:
    """What all attempts of one worker process share."""

    services: Services
    processor: Processor
    #: Who holds the leases, for people: the execution or pod.
    name: str
    machine: Machine
    #: When this process must be done, on the monotonic clock; None for no end.
    ends_at: float | None
    #: Set on SIGTERM: hand back what cannot end in time.
    stop: threading.Event
    #: Set when a file did not fit what is left of this process, or the machine is at fault: finish what is held, take
    #: nothing more.
    closing: threading.Event = field(default_factory=threading.Event)
    #: When this process began, on the monotonic clock.
    started_at: float = field(default_factory=time.monotonic)
    #: What the first job that is taken carries.
    startup: Startup = field(default_factory=Startup)
    #: Makes each try of each worker the owner of its own lease.
    unique: Callable[[], str] = lambda: uuid4().hex[:12]
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pace", Pace(self.services.settings.assumed_real_time_factor))


def attempt(
    job_id: str,
    submission: int,
    worker: Worker,
    *,
    extend: Callable[[], None] = lambda: None,
    trace: str | None = None,
) -> Verdict:
    """Make one attempt at the job, whatever its state; `extend` prolongs the message's ack deadline.

    `trace` is the traceparent of what brought the job here.
    """
    services = worker.services
    taken = _take(job_id, submission, worker)
    job = taken.job
    if job is None or taken.claim is Claim.OVER:
        return Verdict.OVER
    with log.bind(**job.log_labels(), traceparent=job.traceparent):
        match taken.claim:
            case Claim.HELD:
                return Verdict.HELD
            case Claim.EXHAUSTED:
                give_up(job, job.exhausted(), services)
                return Verdict.OVER
        parent, number = trace or job.traceparent, job.attempt
        with services.tracer.span(
            "job.attempt", parent, job_id=job_id, submission=submission, attempt=number, machine=worker.machine
        ) as span:
            verdict = _leased(job, worker, extend)
            span.note(verdict=verdict)
            return verdict


def _take(job_id: str, submission: int, worker: Worker) -> Taken:
    startup = worker.startup.take()
    place = Place(
        machine=worker.machine,
        jobs_at_once=worker.services.settings.worker_concurrency if worker.machine is not Machine.CPU_JOB else 1,
        startup_seconds=startup,
    )
    is_taken = False
    try:
        taken = take(job_id, submission, f"{worker.name}/{worker.unique()}", worker.services, place)
        is_taken = taken.claim is Claim.TAKEN
    finally:
        if not is_taken:
            worker.startup.give_back(startup)
    return taken


def _leased(job: Job, worker: Worker, extend: Callable[[], None]) -> Verdict:
    services = worker.services
    limit = TimeLimit.of(
        worker.started_at,
        worker.ends_at,
        services.settings.task_timeout_seconds,
        may_move=worker.ends_at is not None and _may_move(job, services),
    )
    with tempfile.TemporaryDirectory(prefix=f"{job.job_id}-") as folder:
        beat = Beat(
            job,
            services,
            extend=extend,
            limit=limit,
            stop=worker.stop,
            end_deaf=lambda why: _out_of_time(job, why, worker),
        )
        try:
            with beat:
                outcome, warnings = _process(job, worker, beat, limit, Path(folder))
            return _end(job, services, lambda mine: mine.succeeded(outcome, warnings, services.now()))
        except (OutOfTime, TooLong) as why:
            return _out_of_time(job, why, worker)
        except (LeaseLost, Stopping) as signal:
            return _let_go(job, signal, services)
        except PermanentError as error:
            failure = Failure(code=error.reason_code, message=error.message)
            return _end(job, services, lambda mine: mine.failed(failure, services.now()))
        except MachineFault as fault:
            return _leave(job, fault, worker)
        except RetryableError as error:
            return _retry(job, Failure(code=error.reason_code, message=error.message), services)
        except MemoryError:
            return _retry(job, Failure(code="out_of_memory", message="this worker ran out of memory"), services)
        except OSError as error:
            code = "disk_full" if error.errno == errno.ENOSPC else "io_error"
            return _retry(job, Failure(code=code, message=f"the worker's disk: {error.strerror}"), services)
        except Exception as bug:
            # The outermost border of an attempt: a bug costs its job at most five attempts, and no other job any.
            _log.exception("attempt crashed", extra={"event": "job.crashed", "error": type(bug).__name__})
            return _retry(job, Failure(code="internal_error", message=f"a bug: {type(bug).__name__}"), services)


def _process(job: Job, worker: Worker, beat: Beat, limit: TimeLimit, folder: Path) -> tuple[Outcome, tuple[str, ...]]:
    services = worker.services
    started = time.monotonic()
    tracer = services.tracer
    with tracer.span("job.fetch"):
        source = obtain(job, services, folder, beat.report)
    results = folder / "results"
    results.mkdir()

    def process(source: Source) -> Result:
        return worker.processor.process(
            source,
            job.operations,
            results,
            explicit=job.explicit,
            report=lambda stage, percent: beat.report(stage, 5 + percent * 0.9),
            admit=lambda seconds: limit.check_need(worker.pace.needs(seconds, job.operations)),
        )

    with tracer.span("job.process") as span:
        try:
            result = process(source)
        except WholeNeeded:
            with tracer.span("job.fetch"):
                source = obtain(job, services, folder, beat.report, whole=True)
            result = process(source)
        span.note(device=result.device, media_seconds=result.media_seconds)
    beat.report("upload", 95.0)
    prefix = f"{job.job_id}/{job.attempt}/"
    with tracer.span("job.upload", artifacts=len(result.artifacts)):
        artifacts = upload_artifacts(result, results, prefix, services)
    seconds = time.monotonic() - started
    worker.pace.learn(result.media_seconds, seconds, job.operations)
    return (
        Outcome(
            folder=f"gs://{services.settings.results_bucket}/{prefix}",
            artifacts=artifacts,
            summary=result.summary,
            device=result.device,
            media_seconds=result.media_seconds,
            processing_seconds=round(seconds, 3),
            queue_seconds=round(((job.started_at or job.queued_at) - job.queued_at).total_seconds(), 3),
            real_time_factor=round(seconds / result.media_seconds, 4) if result.media_seconds else None,
        ),
        result.warnings,
    )


def _end(job: Job, services: Services, outcome: Callable[[Job], Job]) -> Verdict:
    """Record a terminal outcome, fenced by the lease, and conclude."""
    seen = _change_mine(job, services, outcome)
    if seen is not None and seen.job.submission == job.submission and seen.job.state.is_terminal:
        conclude(seen.job, services)
    return _verdict(job, seen)


def _retry(job: Job, failure: Failure, services: Services) -> Verdict:
    """Back to the queue; after the last attempt, the dead letter."""
    seen = _change_mine(job, services, lambda mine: mine.retried(failure, services.now()))
    verdict = _verdict(job, seen)
    if seen is not None and verdict is Verdict.AGAIN and seen.job.is_used_up(services.settings.max_attempts):
        give_up(seen.job, seen.job.exhausted(), services)
        return Verdict.OVER
    return verdict


def _leave(job: Job, fault: MachineFault, worker: Worker) -> Verdict:
    """The job goes back as after any fault that passes, and the worker takes no more: every job would fail here."""
    _log.critical("this machine is at fault", extra={"event": "worker.machine_fault", "error": fault.message})
    worker.closing.set()
    verdict = _retry(job, Failure(code=fault.reason_code, message=fault.message), worker.services)
    if verdict is Verdict.AGAIN and job.destination is not Destination.CPU:
        # As in `_let_go`: another worker must be called.
        send(job, worker.services)
        return Verdict.OVER
    return verdict


def _out_of_time(job: Job, why: Stopping | TooLong, worker: Worker) -> Verdict:
    """Hand back what a fresh process has time for; what none has is put right at once."""
    if isinstance(why, TooLong):
        return _too_long(job, why, worker.services)
    worker.closing.set()
    return _let_go(job, why, worker.services)


def _let_go(job: Job, signal: JobError, services: Services) -> Verdict:
    """Hand the job back uncounted, or leave it to whoever owns it now."""
    _log.info("attempt ended early", extra={"event": f"job.{signal.reason_code}"})
    seen = _change_mine(job, services, lambda mine: mine.handed_back(services.now()))
    verdict = _verdict(job, seen)
    is_pulled = job.destination is not Destination.CPU
    if seen is not None and verdict is Verdict.AGAIN and isinstance(signal, Stopping) and is_pulled:
        # A new message, since this worker goes: the bell of the old one fell silent when the job was picked up.
        send(seen.job, services)
        return Verdict.OVER
    return verdict


def _too_long(job: Job, error: TooLong, services: Services) -> Verdict:
    """What fits no attempt of a Cloud Run Job goes to GKE, whose pods have no end, or fails at once."""
    if not _may_move(job, services):
        failure = Failure(code=error.reason_code, message=error.message)
        return _end(job, services, lambda mine: mine.failed(failure, services.now()))
    reroute = {"destination": Destination.GKE, "reason": f"gke: {error.message}"}
    seen = _change_mine(job, services, lambda mine: mine.handed_back(services.now(), **reroute))
    verdict = _verdict(job, seen)
    if seen is not None and verdict is Verdict.AGAIN:
        send(seen.job, services)
        return Verdict.OVER
    return verdict


def _may_move(job: Job, services: Services) -> bool:
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
