"""One attempt at one job: lease, fetch, process, write artifacts, record the outcome, conclude."""

from __future__ import annotations

import errno
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from shared import log
from shared.artifact_upload import upload_artifacts
from shared.attempt_ends import Verdict, end, leave, let_go, may_move, out_of_time, retry
from shared.dead_letters import give_up
from shared.errors import MachineFault, PermanentError, RetryableError, TooLong
from shared.job import Failure, Job, Outcome
from shared.job_source import obtain
from shared.lease import Beat, Claim, LeaseLost, Taken, take
from shared.machines import Machine, Place
from shared.processor import Result
from shared.source import Source, WholeNeeded
from shared.time_limit import OutOfTime, Stopping, TimeLimit
from shared.worker import Worker

_log = logging.getLogger(__name__)


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
        may_move=worker.ends_at is not None and may_move(job, services),
    )
    try:
        with tempfile.TemporaryDirectory(prefix=f"{job.job_id}-", ignore_cleanup_errors=True) as folder:
            beat = Beat(
                job,
                services,
                extend=extend,
                limit=limit,
                stop=worker.stop,
                end_deaf=lambda why: out_of_time(job, why, worker),
            )
            with beat:
                outcome, warnings = _process(job, worker, beat, limit, Path(folder))
            return end(job, services, lambda mine: mine.succeeded(outcome, warnings, services.now()))
    except (OutOfTime, TooLong) as why:
        return out_of_time(job, why, worker)
    except (LeaseLost, Stopping) as signal:
        return let_go(job, signal, services)
    except PermanentError as error:
        failure = Failure(code=error.reason_code, message=error.message)
        return end(job, services, lambda mine: mine.failed(failure, services.now()))
    except MachineFault as fault:
        return leave(job, fault, worker)
    except RetryableError as error:
        return retry(job, Failure(code=error.reason_code, message=error.message), services)
    except MemoryError:
        return retry(job, Failure(code="out_of_memory", message="this worker ran out of memory"), services)
    except OSError as error:
        code = "disk_full" if error.errno == errno.ENOSPC else "io_error"
        return retry(job, Failure(code=code, message=f"the worker's disk: {error.strerror}"), services)
    except Exception as bug:
        # The outermost border of an attempt: a bug costs its job at most five attempts, and no other job any.
        _log.exception("attempt crashed", extra={"event": "job.crashed", "error": type(bug).__name__})
        return retry(job, Failure(code="internal_error", message=f"a bug: {type(bug).__name__}"), services)


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
