"""A model of Pub/Sub's metric, KEDA, GKE Autopilot and the gpu-runner pods: pure, and reproducible by its seed.

Modelled: the metric's sampling and its delay; KEDA's polling and cooldown; the HPA; nodes that must be made and images
that must be pulled; pods that work on one file at a time (two side by side share the GPU, and are done no later), and
those that scale-down picks while they are busy.
Left out, since it only helps: a node that is still there from the last pod.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import pairwise

from bench.autoscaling_policy import Hpa, Policy


@dataclass(frozen=True, slots=True)
class Platform:
    """What Google's side takes; seconds. Pairs are the least and the most."""

    #: Pub/Sub's backlog metric is sampled so often, and visible so much later.
    #: https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub
    metric_every: float = 60.0
    metric_delay: float = 120.0
    hpa_every: float = 15.0
    #: Assumed: from a pod that finds no place to a node with its GPU driver.
    node: tuple[float, float] = (90.0, 240.0)
    #: Assumed: image pull, imports and model.
    start: tuple[float, float] = (30.0, 120.0)
    #: Assumed: what a busy pod uses of its CPUs.
    busy_cpu_percent: float = 60.0


class Phase(StrEnum):
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    #: Told to go: finishes its file within the grace period, or hands it back.
    LEAVING = "leaving"


@dataclass(eq=False, slots=True)
class Pod:
    phase: Phase = Phase.STARTING
    file: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stand from `at` on."""

    at: float
    #: Messages not acknowledged, and what Cloud Monitoring says of them.
    backlog: int
    seen: int
    #: Pods asked for, and pods by what they do.
    wanted: int
    starting: int
    working: int
    idle: int

    @property
    def pods(self) -> int:
        return self.starting + self.working + self.idle


@dataclass(frozen=True, slots=True)
class Run:
    #: When each file was done, by its number.
    done: tuple[float, ...]
    #: How often work on it began: once, unless it was handed back.
    begun: tuple[int, ...]
    history: tuple[Moment, ...]

    @property
    def finish(self) -> float:
        return max(self.done)

    @property
    def first_work(self) -> float:
        return next(moment.at for moment in self.history if moment.working)

    @property
    def pod_seconds(self) -> float:
        """Time for which pods are paid for, their start included."""
        return sum((b.at - a.at) * a.pods for a, b in pairwise(self.history))


def simulate(files: Sequence[float], policy: Policy, platform: Platform, seed: int) -> Run:
    """Run until all `files` (processing seconds each, all there at 0) are done and no pod is left."""
    return _Cluster(files, policy, platform, random.Random(seed)).run()  # noqa: S311 - dice, not secrets


@dataclass(eq=False)
class _Cluster:
    files: Sequence[float]
    policy: Policy
    platform: Platform
    dice: random.Random
    now: float = 0.0
    #: The metric as it can be read.
    seen: int = 0
    #: The Deployment's replicas.
    wanted: int = 0
    active_at: float = -math.inf
    pods: list[Pod] = field(default_factory=list)
    done: dict[int, float] = field(default_factory=dict)
    history: list[Moment] = field(default_factory=list)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _planned: int = 0

    def __post_init__(self) -> None:
        self.hpa = Hpa(self.policy)
        self.waiting = deque(range(len(self.files)))
        self.begun = [0] * len(self.files)

    def run(self) -> Run:
        for seconds, event in (
            (self.platform.metric_every, self._sample),
            (self.policy.poll, self._poll),
            (self.platform.hpa_every, self._scale),
        ):
            self._in(self.dice.uniform(0, seconds), partial(self._repeat, seconds, event))
        self._note()
        while len(self.done) < len(self.files) or self.wanted or self.pods:
            self.now, _, event = heapq.heappop(self._events)
            event()
            self._note()
        return Run(tuple(self.done[file] for file in sorted(self.done)), tuple(self.begun), tuple(self.history))

    def _in(self, seconds: float, event: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._events, (self.now + seconds, self._planned, event))

    def _repeat(self, seconds: float, event: Callable[[], None]) -> None:
        event()
        self._in(seconds, partial(self._repeat, seconds, event))

    @property
    def backlog(self) -> int:
        """Unacknowledged messages: those that wait and those being worked on."""
        return len(self.files) - len(self.done)

    def _sample(self) -> None:
        self._in(self.platform.metric_delay, partial(setattr, self, "seen", self.backlog))

    def _poll(self) -> None:
        """KEDA: to 1 as soon as there is work, to 0 when there has been none for the cooldown."""
        if self.seen > 0:
            self.active_at = self.now
            if self.wanted == 0:
                self._resize(1)
        elif self.wanted and self.now - self.active_at >= self.policy.cooldown:
            self._resize(0)

    def _scale(self) -> None:
        busy = sum(pod.phase is Phase.BUSY for pod in self.pods)
        cpu = busy * self.platform.busy_cpu_percent
        self._resize(self.hpa.replicas(self.now, self.wanted, backlog=self.seen, cpu_percent=cpu))

    def _resize(self, wanted: int) -> None:
        self.wanted = wanted
        staying = [pod for pod in self.pods if pod.phase is not Phase.LEAVING]
        for _ in range(wanted - len(staying)):
            self._add()
        # As a ReplicaSet picks: first what is not ready, then the youngest, busy or not.
        staying.sort(key=lambda pod: pod.phase is Phase.STARTING)
        for pod in staying[wanted:]:
            self._dismiss(pod)

    def _add(self) -> None:
        pod = Pod()
        self.pods.append(pod)
        seconds = self.dice.uniform(*self.platform.node) + self.dice.uniform(*self.platform.start)
        self._in(seconds, partial(self._is_ready, pod))

    def _is_ready(self, pod: Pod) -> None:
        if pod in self.pods:
            pod.phase = Phase.IDLE
            self._take()

    def _dismiss(self, pod: Pod) -> None:
        if pod.phase is Phase.BUSY:
            pod.phase = Phase.LEAVING
            self._in(self.policy.grace, partial(self._hand_back, pod))
        else:
            self.pods.remove(pod)

    def _take(self) -> None:
        for pod in self.pods:
            if pod.phase is Phase.IDLE and self.waiting:
                pod.phase, pod.file = Phase.BUSY, self.waiting.popleft()
                self.begun[pod.file] += 1
                self._in(self.files[pod.file], partial(self._finish, pod, pod.file))

    def _finish(self, pod: Pod, file: int) -> None:
        if pod not in self.pods:
            return
        self.done[file] = self.now
        pod.file = None
        if pod.phase is Phase.LEAVING:
            self.pods.remove(pod)
        else:
            pod.phase = Phase.IDLE
            self._take()

    def _hand_back(self, pod: Pod) -> None:
        if pod in self.pods and pod.file is not None:
            self.waiting.appendleft(pod.file)
            self.pods.remove(pod)
            self._take()

    def _note(self) -> None:
        phases = [pod.phase for pod in self.pods]
        working = phases.count(Phase.BUSY) + phases.count(Phase.LEAVING)
        starting, idle = phases.count(Phase.STARTING), phases.count(Phase.IDLE)
        self.history.append(Moment(self.now, self.backlog, self.seen, self.wanted, starting, working, idle))
