"""What the manifests say about scaling, and the HPA that follows it; seconds throughout."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

#: The HPA leaves the number alone while a metric is this near to its target.
_TOLERANCE: Final = 0.1
_K8S: Final = Path(__file__).resolve().parent.parent / "k8s" / "gpu-runner"


@dataclass(frozen=True, slots=True)
class Policy:
    #: Messages per pod.
    target: float
    #: Pods at most.
    maximum: int
    #: KEDA looks so often (0 → 1), and waits so long without work (1 → 0).
    poll: float
    cooldown: float
    #: Share of the requested CPU, in percent, that pods shall use.
    cpu_percent: float
    #: The HPA goes down only to the most that was asked for within this time.
    down_window: float
    #: At most so many pods come, or go, within so long.
    up_pods: int
    up_period: float
    down_pods: int
    down_period: float
    #: Between SIGTERM and SIGKILL.
    grace: float

    @classmethod
    def deployed(cls, folder: Path = _K8S) -> Self:
        """As k8s/gpu-runner has it."""
        scaled = _document(folder / "scaling.yaml", "ScaledObject")["spec"]
        pod = _document(folder / "deployment.yaml", "Deployment")["spec"]["template"]["spec"]
        triggers = {trigger["type"]: trigger["metadata"] for trigger in scaled["triggers"]}
        behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        (up,), (down,) = behavior["scaleUp"]["policies"], behavior["scaleDown"]["policies"]
        return cls(
            target=float(triggers["prometheus"]["threshold"]),
            maximum=scaled["maxReplicaCount"],
            poll=scaled["pollingInterval"],
            cooldown=scaled["cooldownPeriod"],
            cpu_percent=float(triggers["cpu"]["value"]),
            down_window=behavior["scaleDown"]["stabilizationWindowSeconds"],
            up_pods=up["value"],
            up_period=up["periodSeconds"],
            down_pods=down["value"],
            down_period=down["periodSeconds"],
            grace=pod["terminationGracePeriodSeconds"],
        )


def _document(file: Path, kind: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [each for each in yaml.safe_load_all(file.read_text()) if each["kind"] == kind]
    return found


@dataclass
class Hpa:
    """The HorizontalPodAutoscaler that KEDA makes: the larger of what backlog and CPU ask for.

    https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
    """

    policy: Policy
    _advice: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def replicas(self, now: float, current: int, *, backlog: int, cpu_percent: float) -> int:
        """How many pods there shall be; `cpu_percent` is the sum over the `current` ones. From 0 it never starts."""
        if current == 0:
            self._advice.clear()
            return 0
        policy = self.policy
        asked = max(_advised(backlog / policy.target, current), _advised(cpu_percent / policy.cpu_percent, current))
        latest = min(policy.maximum, max(1, asked))
        self._advice.append((now, latest))
        while self._advice[0][0] < now - policy.down_window:
            self._advice.popleft()
        most = max(pods for _, pods in self._advice)
        return self._within_rates(now, current, latest if latest > current else min(current, most))

    def _within_rates(self, now: float, current: int, aim: int) -> int:
        policy = self.policy
        while self._changes and self._changes[0][0] <= now - max(policy.up_period, policy.down_period):
            self._changes.popleft()
        up = sum(by for at, by in self._changes if by > 0 and at > now - policy.up_period)
        down = -sum(by for at, by in self._changes if by < 0 and at > now - policy.down_period)
        aim = min(aim, current + max(0, policy.up_pods - up))
        aim = max(aim, current - max(0, policy.down_pods - down))
        if aim != current:
            self._changes.append((now, aim - current))
        return aim


def _advised(need: float, current: int) -> int:
    return current if abs(need / current - 1) <= _TOLERANCE else math.ceil(need)
