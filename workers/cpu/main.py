"""python -m workers.cpu, with JOB_ID and SUBMISSION in the environment: that one job, one attempt."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

from shared import log
from shared.attempt_ends import Verdict
from shared.errors import RetryableError
from shared.machines import Machine, Startup
from shared.media.limits import DecodeLimits
from shared.media.process import MediaProcessor
from shared.media.weights import model_folder
from shared.processor import Processor
from shared.services import services
from shared.work import attempt
from shared.worker import Worker

_log = logging.getLogger(__name__)


def main(
    stop: threading.Event, make_processor: Callable[..., Processor] = MediaProcessor, *, began: float | None = None
) -> int:
    """One attempt, handed back when `stop` is set, in a process that `began` then, on the monotonic clock.

    Exit status 0 when nothing is left to do for this job, 1 when the queue must bring it again, 2 for bad usage.
    """
    started = time.monotonic() if began is None else began
    log.setup()
    everything = services()
    settings = everything.settings
    if settings.job_id is None or settings.submission is None:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    try:
        worker = Worker(
            services=everything,
            processor=make_processor(
                model=model_folder(settings.model, everything.objects),
                weights=settings.weights,
                device="cpu",
                limits=DecodeLimits.of(settings),
            ),
            name=settings.cloud_run_execution or settings.hostname,
            machine=Machine.CPU_JOB,
            ends_at=started + settings.task_timeout_seconds,
            stop=stop,
            startup=Startup(time.monotonic() - started),
        )
        verdict = attempt(settings.job_id, settings.submission, worker, trace=settings.traceparent)
    except RetryableError as error:
        _log.warning(
            "attempt not made: %s", error.message, extra={"event": "worker.unavailable", "error": error.reason_code}
        )
        return 1
    return 1 if verdict is Verdict.AGAIN else 0
