"""What all attempts of one worker process share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from shared.machines import Machine, Startup
from shared.processor import Processor
from shared.services import Services
from shared.time_limit import Pace


@dataclass(frozen=True)
class Worker:
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
