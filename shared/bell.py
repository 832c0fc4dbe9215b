"""The doorbell of the GPU Job: rings until the job is picked up, and starts an execution where a slot is free."""

from __future__ import annotations

import logging

from shared.errors import Misconfigured
from shared.events import JobMessage
from shared.executions import NotStarted
from shared.routing import Destination
from shared.services import Services
from shared.tracing import environment_of

_log = logging.getLogger(__name__)


def ring(message: JobMessage, services: Services) -> bool:
    """True when the bell may fall silent: the job is over, runs, or is the pods' by now. False: ring again.

    Raises Unavailable when the record cannot be read.
    """
    seen = services.store.get(message.job_id)
    if seen is None or seen.job.submission != message.submission:
        return True
    is_ours = seen.job.destination is Destination.GPU
    if not is_ours or not seen.is_waiting(services.settings.lease_seconds):
        _log.info(
            "bell silent", extra={"event": "bell.silent", "state": seen.job.state, "destination": seen.job.destination}
        )
        return True
    _log.info("bell rung", extra={"event": "bell.rung", "state": seen.job.state})
    _start_execution(message.job_id, services)
    return False


def _start_execution(job_id: str, services: Services) -> None:
    settings = services.settings
    slot = services.slots.take(job_id)
    if slot is None:
        return
    with services.tracer.span("execution.start", slot=slot.number) as span:
        environment = {**slot.environment, **environment_of(span)}
        try:
            execution = services.executions.start(settings.gpu_job, settings.gpu_region, environment)
        except (NotStarted, Misconfigured):
            services.slots.release(slot)
            raise
        span.note(execution=execution)
    # Any other fault may have started one: the slot stays taken until that execution frees it, or it expires.
    _log.info(
        "GPU execution started", extra={"event": "execution.started", "execution": execution, "slot": slot.number}
    )
