"""Runs a plan: phase after phase, side by side within one, and a line for each command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Lock
from typing import Final, TextIO, TypeVar

from deploy.command import Command, Phase, Plan
from deploy.faults import CannotDeploy, NotSettledYet
from deploy.gcloud import Cloud
from deploy.snapshot import AT_ONCE
from shared.errors import JobError

_T = TypeVar("_T")

#: Seconds before each further try of what Google Cloud has not caught up with: four minutes in all.
_PAUSES: Final = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 120.0)


class Runner:
    """Runs commands against one project and tells about it."""

    def __init__(self, cloud: Cloud, out: TextIO, pause: Callable[[float], None] = time.sleep) -> None:
        self._cloud = cloud
        self._out = out
        self._pause = pause
        self._writing = Lock()

    def apply(self, plan: Plan) -> None:
        """Raises CannotDeploy after the first phase with a failure, once what was begun beside it has ended."""
        for number, phase in enumerate(plan, 1):
            self.say(f"{number}/{len(plan)} {phase.title}")
            self._phase(phase)

    def say(self, line: str) -> None:
        with self._writing:
            self._out.write(f"{line}\n")
            self._out.flush()

    def _phase(self, phase: Phase) -> None:
        stop = Event()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            ended = [pool.submit(self._lane, lane, stop) for lane in lanes(phase.commands)]
        failures = [error for error in (each.exception() for each in ended) if error]
        for error in failures:
            if not isinstance(error, JobError):
                raise error
        if failures:
            raise CannotDeploy(f"stopped at “{phase.title}”; once that is mended, give the same command again.")

    def _lane(self, commands: Sequence[Command], stop: Event) -> None:
        for command in commands:
            if stop.is_set():
                return
            started = time.monotonic()
            try:
                self.settled(partial(self._cloud.run, command))
            except JobError as error:
                stop.set()
                self.say(f"  ✗ {error.message}")
                raise
            self.say(f"  ✓ {command.title}  {time.monotonic() - started:.1f} s")

    def settled(self, call: Callable[[], _T]) -> _T:
        """What the call answers, once Google Cloud has caught up; raises what it raises after four minutes."""
        for pause in _PAUSES:
            try:
                return call()
            except NotSettledYet:
                self._pause(pause)
        return call()


def lanes(commands: Sequence[Command]) -> list[list[Command]]:
    """Commands that may run side by side, each with those that must wait for it."""
    together: dict[str, list[Command]] = {}
    for number, command in enumerate(commands):
        together.setdefault(command.lane or str(number), []).append(command)
    return list(together.values())
