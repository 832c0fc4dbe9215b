"""What the workers do, all of it: as a Cloud Run Job's execution with a GPU or without, and as a pod."""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from shared.errors import Unavailable
from shared.machines import Machine
from shared.operations import Probe
from shared.resources import declared
from shared.services import use
from tests.access.watched import Watch, watched_services
from tests.fakes.processor import Blocked, FakeProcessor, Step, after, fail, succeed
from tests.fakes.services import FakeServices
from tests.fakes.world import PNG, World, request
from tests.waiting import eventually
from workers.cpu.main import main as cpu_main
from workers.gpu.drain import Drain
from workers.gpu.lanes import Lanes
from workers.gpu.main import main as gpu_main

_RESOURCES: Final = declared()
GPU: Final = _RESOURCES.jobs["gpu"].account
CPU: Final = _RESOURCES.jobs["cpu"].account
POD: Final = _RESOURCES.gke.account
_QUICK: Final[dict[str, Any]] = {"progress_seconds": 0.01, "beat_seconds": 0.02, "enable_gke_route": True}


def workers(watch: Watch, model: Path) -> None:
    pulling = ((GPU, "gpu-work", Machine.GPU_JOB), (POD, "gpu-gke-work", Machine.GKE_POD))
    for account, subscription, machine in pulling:
        for steps in ([succeed()], [fail(Unavailable("down"))], [Blocked()]):
            _drains(watch, account, subscription, machine, steps)
        _moves(watch, account, subscription, machine)
    _whole_gpu_process(watch, model)
    for steps in ([succeed()], [fail(Unavailable("down"))]):
        _whole_cpu_process(watch, model, steps)


def _world(watch: Watch, steps: list[Step], subscription: str, **settings: Any) -> World:
    """With one job whose message is in this subscription, and one message that names none."""
    everything = watched_services(watch, **{**_QUICK, **settings})
    world = World(everything, FakeProcessor(steps))
    wish = {"gpu-work": "cloud-run", "gpu-gke-work": "gke"}[subscription]
    world.submit(request(everything, wish=wish, idempotency_key=f"shop\0{subscription}"))
    everything.clock.advance(5)
    return world


def _drains(watch: Watch, account: str, name: str, machine: Machine, steps: list[Step]) -> None:
    """Until each job is over, however often it must be tried; what is blocked is told to stop."""
    world = _world(watch, steps, name)
    everything = world.services
    topic = _RESOURCES.subscriptions[name].topic
    everything.topics.publish(topic, b"nothing", {"fileType": "mp4"})
    everything.topics.publish(topic, b'{"job_id": "%s", "submission": 1}' % (b"0" * 32), {"fileType": "mp4"})
    for _ in range(everything.settings.max_attempts + 2):
        worker = world.worker(machine=machine)
        with watch.acting(account, everything):
            drain = Drain(worker, _lanes(everything, name), 0.05)
            if isinstance(steps[0], Blocked):
                _stopped(drain, steps[0], lambda: "ack_deadline_seconds" in watch.seen[account].settings)
            else:
                drain.run()
        everything.clock.advance(60)


def _stopped(drain: Drain, blocked: Blocked, has_beaten: Callable[[], bool]) -> None:
    """SIGTERM in the middle of the work, once its message's deadline was extended: the job is handed back."""
    working = threading.Thread(target=drain.run)
    working.start()
    try:
        if blocked.is_running.wait(0.5):
            eventually(has_beaten, "the message's deadline is extended")
    finally:
        drain.worker.stop.set()
        working.join()


def _lanes(everything: FakeServices, name: str) -> Lanes:
    high, normal = (everything.topics.subscription(each) for each in (f"{name}-high", name))
    return Lanes(high, normal, high_seconds=0.01)


def _moves(watch: Watch, account: str, name: str, machine: Machine) -> None:
    """A recording that fits no execution of the GPU Job."""
    world = _world(watch, [succeed()], name)
    world.processor.seconds = 1e6
    ends_at = time.monotonic() + 900 if machine is Machine.GPU_JOB else None
    with watch.acting(account, world.services):
        worker = world.worker(machine=machine, ends_at=ends_at)
        Drain(worker, _lanes(world.services, name), 0.05).run()


def _whole_gpu_process(watch: Watch, model: Path) -> None:
    """From its settings to its slot's release, with SIGTERM for what has no end; Pub/Sub is not there."""
    for account, command, pause in ((GPU, "drain", 5), (GPU, "drain", 1000), (POD, "serve", 0)):
        everything = watched_services(watch, model=str(model), idle_seconds=0.01, **_EMULATED)
        if command == "drain":
            slot = everything.slots.take("f" * 32)
            assert slot is not None
            _tell(everything, gpu_slot=slot.number, gpu_slot_token=slot.token)
            everything.clock.advance(pause)
            everything.slots.sweep()
        asked = threading.Event()
        asked.set()
        with _process(), use(everything), watch.acting(account, everything):
            assert gpu_main([command], asked, _processor()) == 0
            # Read by the thread that hears of SIGTERM, which nobody waits for.
            read = watch.seen[account].settings
            eventually(partial(operator.contains, read, "termination_grace_seconds"))


def _tell(everything: FakeServices, **settings: Any) -> None:
    """What a process finds in its environment besides."""
    object.__setattr__(everything, "settings", everything.settings.model_copy(update=settings))


def _whole_cpu_process(watch: Watch, model: Path, steps: list[Step]) -> None:
    everything = watched_services(watch, model=str(model), progress_seconds=0.01, beat_seconds=0.02)
    asked = request(everything, file=PNG, operations=(Probe(),))
    job = World(everything).submit(asked).job
    _tell(everything, job_id=job.job_id, submission=1)
    for _ in range(everything.settings.max_attempts + 1):
        everything.clock.advance(60)
        with _process(), use(everything), watch.acting(CPU, everything):
            cpu_main(threading.Event(), _processor(after(lambda: _beating(watch, CPU), steps[0])))


def _beating(watch: Watch, account: str) -> None:
    eventually(lambda: "beat_seconds" in watch.seen[account].settings, "the lease's beat has begun")


def _processor(*steps: Step) -> Callable[..., FakeProcessor]:
    return lambda **_: FakeProcessor(list(steps) or [succeed()])


_EMULATED: Final[dict[str, Any]] = {
    "project": "local-access",
    "local_cloud": True,
    **dict.fromkeys(("storage_emulator_host", "tasks_emulator_host", "run_emulator_host"), "http://127.0.0.1:9"),
    "pubsub_emulator_host": "127.0.0.1:9",
}


@contextmanager
def _process() -> Iterator[None]:
    """A worker takes the whole process' log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
