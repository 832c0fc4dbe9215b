"""python -m workers.gpu drain | serve

drain   a Cloud Run Job's execution: take messages from gpu-work-high and gpu-work until idle or near the deadline
serve   a gpu-runner pod on GKE: the same loop on gpu-gke-work-high and gpu-gke-work, without end
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from shared import log
from shared.errors import RetryableError
from shared.machines import Machine, Startup
from shared.media.limits import DecodeLimits
from shared.media.model import has_gpu
from shared.media.process import MediaProcessor
from shared.media.weights import model_folder
from shared.processor import Processor
from shared.pubsub import PubSubSubscription
from shared.services import Services, services
from shared.slots import Slot
from shared.worker import Worker
from workers.gpu.drain import Drain
from workers.gpu.lanes import Lanes
from workers.heartbeat import Heartbeat
from workers.scratch import begin_in

_log = logging.getLogger(__name__)

#: Of the time before SIGKILL, what handing a job back may take.
_HAND_BACK_SECONDS: Final = 10.0


def main(
    arguments: Sequence[str],
    asked: threading.Event,
    make_processor: Callable[..., Processor] = MediaProcessor,
    *,
    began: float | None = None,
) -> int:
    """Work until there is no more, or until `asked` to leave; the process `began` then, on the monotonic clock.

    Exit status 0: the queue was drained; the jobs' records say what became of them. 1: no GPU or model. 2: usage.
    """
    if list(arguments) not in (["drain"], ["serve"]):
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    is_drain = arguments[0] == "drain"
    started = time.monotonic() if began is None else began
    log.setup()
    everything = services()
    settings = everything.settings
    if settings.scratch_folder is not None:
        begin_in(settings.scratch_folder)
    with everything.tracer.span("worker.start", settings.traceparent):
        worker = _worker(everything, make_processor, started, is_drain=is_drain)
    if worker is None:
        return 1
    threading.Thread(target=leave_when_asked, args=(asked, worker), name="leave", daemon=True).start()
    with _slot(worker):
        high, normal = (
            PubSubSubscription(
                settings.project, name, emulator=settings.pubsub_emulator_host, call_seconds=settings.call_seconds
            )
            for name in (settings.gpu_lanes if is_drain else settings.gke_lanes)
        )
        _log.info("worker ready", extra={"event": "worker.ready", "seconds": round(time.monotonic() - started, 2)})
        heartbeat = Heartbeat(settings.heartbeat_file)
        lanes = Lanes(high, normal, settings.high_pull_seconds)
        Drain(worker, lanes, settings.idle_seconds if is_drain else None, heartbeat).run()
    _log.info("worker done", extra={"event": "worker.done", "seconds": round(time.monotonic() - started, 2)})
    return 0


def _worker(
    everything: Services, make_processor: Callable[..., Processor], started: float, *, is_drain: bool
) -> Worker | None:
    """A worker with its model at hand; None without a GPU or a model, and why is in the log."""
    settings = everything.settings
    if settings.require_gpu and not has_gpu():
        # Fail fast: a GPU's price for a CPU's crawl is nobody's wish.
        _log.critical("no GPU where REQUIRE_GPU is set", extra={"event": "worker.no_gpu"})
        return None
    try:
        model = model_folder(settings.model, everything.objects)
    except RetryableError as error:
        _log.critical(
            "cannot begin: %s", error.message, extra={"event": "worker.unavailable", "error": error.reason_code}
        )
        return None
    return Worker(
        services=everything,
        processor=make_processor(
            model=model,
            weights=settings.weights,
            device=settings.device,
            limits=DecodeLimits.of(settings),
            jobs_at_once=settings.worker_concurrency,
            many_jobs=True,
        ),
        name=settings.cloud_run_execution or settings.hostname,
        machine=Machine.GPU_JOB if is_drain else Machine.GKE_POD,
        ends_at=started + settings.task_timeout_seconds if is_drain else None,
        stop=threading.Event(),
        startup=Startup(time.monotonic() - started),
    )


def leave_when_asked(asked: threading.Event, worker: Worker) -> None:
    """Once asked to end, take nothing more; hand back what is held only when no time is left to finish it."""
    asked.wait()
    worker.closing.set()
    worker.stop.wait(max(0.0, worker.services.settings.termination_grace_seconds - _HAND_BACK_SECONDS))
    worker.stop.set()


@contextmanager
def _slot(worker: Worker) -> Iterator[None]:
    """Renew the slot this execution was given, and free it at the end; without one there is nothing to do.

    A slot that was given to another execution closes the worker: two would be one too many.
    """
    slots, settings = worker.services.slots, worker.services.settings
    if settings.gpu_slot is None or settings.gpu_slot_token is None:
        yield
        return
    slot = slots.claim(settings.gpu_slot, settings.gpu_slot_token)
    if slot is None:
        _lose(worker)
        yield
        return
    done = threading.Event()
    beat = threading.Thread(target=_renew, args=(slot, worker, done), name="slot-beat", daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        slots.release(slot)


def _renew(slot: Slot, worker: Worker, done: threading.Event) -> None:
    held: Slot | None = slot
    try:
        while held is not None:
            held = worker.services.slots.renew(held, has_taken_up=worker.startup.is_over)
            if done.wait(worker.services.settings.beat_seconds):
                return
    finally:
        # Taken over, or nobody renews it any more.
        if not done.is_set():
            _lose(worker)


def _lose(worker: Worker) -> None:
    _log.warning("the slot is another's", extra={"event": "slot.lost"})
    worker.closing.set()
