"""What befalls whole processes at a random moment of a seed: workers stopped, functions restarted, emulators frozen."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.chaos import restarting
from tests.chaos.hub import Hub

_FROZEN_S: Final = 1.5


def _restarts(function: str) -> Callable[[Hub], None]:
    return lambda hub: restarting.function(hub, function)


def _freezes(emulator: str) -> Callable[[Hub], None]:
    def freeze(hub: Hub) -> None:
        pid = hub.cloud.children[emulator].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(_FROZEN_S)
        finally:
            os.kill(pid, signal.SIGCONT)

    return freeze


def _clocks_go_wrong(hub: Hub) -> None:
    hub.skew(7_200)


KINDS: Final[Mapping[str, Callable[[Hub], None]]] = {
    "all workers are told to stop": Hub.stop_workers,
    "on_upload is restarted": _restarts("on_upload"),
    "ingest is restarted": _restarts("ingest"),
    "dispatch is restarted": _restarts("dispatch"),
    "deliver is restarted": _restarts("deliver"),
    "dead_letter is restarted": _restarts("dead_letter"),
    "alert_relay is restarted": _restarts("alert_relay"),
    "storage freezes": _freezes("storage"),
    "Pub/Sub freezes": _freezes("pubsub"),
    "workers' clocks go wrong": _clocks_go_wrong,
}


@dataclass(frozen=True)
class Incident:
    kind: str
    #: Seconds after the seed's beginning.
    after_s: float

    def happen(self, hub: Hub) -> None:
        time.sleep(self.after_s)
        KINDS[self.kind](hub)
        hub.plan.struck.append(self.kind)


def draw(chance: random.Random) -> Incident:
    return Incident(chance.choice(list(KINDS)), round(chance.uniform(0, 2.5), 1))
