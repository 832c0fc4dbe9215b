"""What GKE does for gpu-runner, on one machine: pods are processes, their number follows the backlog.

Like KEDA and the HPA it drives: ceil(backlog / target) pods, between a minimum and a maximum; up at once, down to
the most that was wanted within the cooldown; SIGTERM and a grace period for a pod that goes (which may be a busy
one); a pod that ends by itself is started again, later each time it crashes. Not like them: no CPU trigger, no
minutes of lag, no nodes to wait for.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from local.processes import Child
from shared.errors import RetryableError

_FIRST_BACKOFF_S: Final = 1.0
#: A pod that ran this long had a good start: its next crash is its first.
_HEALTHY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pods, for how much work, and how fast that changes."""

    #: Messages per pod.
    target: int
    minimum: int = 0
    maximum: int = 4
    poll_s: float = 2.0
    #: Scale down only to what was wanted at most within this time.
    cooldown_s: float = 60.0
    #: Between SIGTERM and SIGKILL.
    grace_s: float = 600.0
    #: The longest wait before a pod that keeps crashing is started again.
    longest_backoff_s: float = 300.0

    def desired(self, backlog: int) -> int:
        """Pods for this backlog."""
        return min(self.maximum, max(self.minimum, math.ceil(backlog / self.target)))


@dataclass(slots=True)
class _Leaving:
    child: Child
    kill_at: float


class Autoscaler:
    """Keeps as many pods running as the backlog asks for. `step` does one round; `start` does one every poll_s."""

    def __init__(
        self,
        scale: Scale,
        *,
        backlog: Callable[[], int],
        start_pod: Callable[[], Child],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scale = scale
        self._backlog = backlog
        self._start_pod = start_pod
        self._clock = clock
        self._pods: list[tuple[float, Child]] = []
        self._leaving: list[_Leaving] = []
        self._wanted: deque[tuple[float, int]] = deque()
        self._backoff_s = 0.0
        self._start_after = -math.inf
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def pods(self) -> tuple[Child, ...]:
        """Those that are meant to run, oldest first."""
        return tuple(child for _, child in self._pods)

    @property
    def leaving(self) -> tuple[Child, ...]:
        """Those that were sent SIGTERM and have not ended yet."""
        return tuple(leaving.child for leaving in self._leaving)

    def start(self) -> None:
        """Scale in a thread of its own until closed."""
        self._thread = threading.Thread(target=self._run, name="autoscaler")
        self._thread.start()

    def step(self) -> None:
        """Clear away what ended, then start or stop pods."""
        now = self._clock()
        self._bury(now)
        wanted = self._wanted_pods(now)
        if wanted == 0:
            # The next pods are new ones, whose crashes are counted anew.
            self._backoff_s, self._start_after = 0.0, -math.inf
        while len(self._pods) > wanted:
            child = self._pods.pop()[1]
            child.terminate()
            self._leaving.append(_Leaving(child, now + self._scale.grace_s))
            _log.info("pod stops", extra={"event": "local_gke.scale_down", "pods": len(self._pods)})
        while len(self._pods) < wanted and now >= self._start_after:
            self._pods.append((now, self._start_pod()))
            _log.info("pod started", extra={"event": "local_gke.scale_up", "pods": len(self._pods)})

    def close(self, grace_s: float = 5.0) -> None:
        """Stop scaling and end all pods, with `grace_s` seconds for all of them together."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        children = (*self.pods, *self.leaving)
        for child in children:
            child.terminate()
        deadline = time.monotonic() + grace_s
        for child in children:
            child.wait(max(0.0, deadline - time.monotonic()))
            child.kill()
        self._pods.clear()
        self._leaving.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stopping.wait(self._scale.poll_s):
            self.step()

    def _wanted_pods(self, now: float) -> int:
        try:
            self._wanted.append((now, self._scale.desired(self._backlog())))
        except RetryableError as error:
            # A backlog nobody can read changes nothing.
            _log.warning("backlog unknown: %s", error, extra={"event": "local_gke.backlog_unknown"})
            return len(self._pods)
        while self._wanted[0][0] < now - self._scale.cooldown_s:
            self._wanted.popleft()
        return max(pods for _, pods in self._wanted)

    def _bury(self, now: float) -> None:
        for leaving in self._leaving:
            if leaving.child.poll() is not None or now >= leaving.kill_at:
                leaving.child.kill()
        self._leaving = [leaving for leaving in self._leaving if leaving.child.poll() is None]
        ended = [(started, child) for started, child in self._pods if child.poll() is not None]
        self._pods = [pod for pod in self._pods if pod not in ended]
        for started, child in ended:
            code = child.kill()
            first = now - started >= _HEALTHY_S or self._backoff_s == 0
            self._backoff_s = _FIRST_BACKOFF_S if first else min(2 * self._backoff_s, self._scale.longest_backoff_s)
            self._start_after = now + self._backoff_s
            extra = {"event": "local_gke.pod_ended", "exit_code": code, "backoff_s": self._backoff_s}
            _log.warning("pod ended by itself with exit code %s", code, extra=extra)
