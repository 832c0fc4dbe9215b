"""How one local cloud differs from a deployed one: shorter times, smaller numbers, its own endpoints."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from local.assets import WEIGHTS
from shared.lanes import CPU_QUEUES
from shared.resources import Queue, Resources, Subscription

PROJECT: Final = "local-hub"
REGION: Final = "local"
UPLOADS, RESULTS, STATE = "local-uploads", "local-results", "local-state"


@dataclass(frozen=True)
class Profile:
    """What a user or a test may choose; times are seconds."""

    model: Path
    weights: Path = WEIGHTS
    max_gpu_executions: int = 1
    enable_gke_route: bool = False
    gke_max_runners: int = 4
    #: Waiting jobs one gpu-runner is meant for: desired runners = ceil(backlog / target).
    gke_target: int = 2
    #: The longest wait before a runner that keeps crashing is started again: Kubernetes' own.
    gke_backoff: float = 300
    worker_concurrency: int = 1
    #: CPU executions at once.
    cpu_concurrency: int = 2
    idle: float = 60
    grace: float = 60
    sweep_every: float = 30
    beat: float = 2
    lease: float = 8
    ack_deadline: int = 10
    slot: float = 8
    slot_start: float = 30
    api_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    webhook_secret: str = "whsec_bG9jYWwtY2xvdWQtb25seS1zZWNyZXQ="  # noqa: S105 a secret of nothing
    alert_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    #: Run Prometheus and Alertmanager with the deployed rules; without, only routing's own query is answered.
    monitoring: bool = False
    #: All times of those rules are divided by this: Prometheus has no other clock than ours.
    monitoring_speed: float = 1
    #: What is going to be uploaded, in bytes, as far as it is known.
    upload_bytes: int = 0
    #: Ports that callers go to instead of a part's own, by its name in `Endpoints` or a function's: for tests' faults.
    fronts: Mapping[str, int] = field(default_factory=dict)
    #: What runs instead of the declared commands of the Jobs, by their names, and of pods ("gke"): for tests' faults.
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: More settings, by their environment names.
    extra: Mapping[str, str] = field(default_factory=dict)

    def fitted(self, resources: Resources) -> Resources:
        """The declared resources with this profile's times and numbers."""
        return resources.model_copy(
            update={
                "subscriptions": {name: self._subscription(each) for name, each in resources.subscriptions.items()},
                "queues": {name: self._queue(name, each, resources) for name, each in resources.queues.items()},
            }
        )

    def _subscription(self, declared: Subscription) -> Subscription:
        return declared.model_copy(update={"ack_deadline": self.ack_deadline, "retry_min": 1, "retry_max": 5})

    def _queue(self, name: str, declared: Queue, resources: Resources) -> Queue:
        # Of each function there is one instance here.
        concurrent = self.cpu_concurrency if name in CPU_QUEUES.values() else resources.functions["deliver"].concurrency
        return declared.model_copy(update={"concurrent_dispatches": concurrent, "min_backoff": 1.0, "max_backoff": 5.0})


@dataclass(frozen=True)
class Endpoints:
    """Where the parts of one local cloud listen; ports on loopback."""

    pubsub: int
    storage: int
    tasks: int
    jobs: int
    #: Answers PromQL.
    metrics: int
    eventarc: int
    functions: Mapping[str, int]
    #: Of a cloud with monitoring.
    exporter: int = 0
    alertmanager: int = 0
    fronts: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def url(port: int) -> str:
        return f"http://127.0.0.1:{port}"

    def function(self, name: str) -> str:
        return self.url(self.fronts.get(name, self.functions[name]))

    def reached(self) -> Endpoints:
        """As functions and workers are told of them."""
        changes: dict[str, Any] = {name: port for name, port in self.fronts.items() if name not in self.functions}
        return replace(self, **changes)


def environment(profile: Profile, endpoints: Endpoints) -> dict[str, str]:
    """The one block of settings that all functions and workers are given."""
    endpoints = endpoints.reached()
    return {
        "PROJECT": PROJECT,
        "REGION": REGION,
        "GPU_REGION": REGION,
        "UPLOADS_BUCKET": UPLOADS,
        "RESULTS_BUCKET": RESULTS,
        "STATE_BUCKET": STATE,
        "INGEST_URL": endpoints.function("ingest"),
        "DISPATCH_URL": endpoints.function("dispatch"),
        "DELIVER_URL": endpoints.function("deliver"),
        "ENABLE_GKE_ROUTE": str(profile.enable_gke_route).lower(),
        "MAX_GPU_EXECUTIONS": str(profile.max_gpu_executions),
        "PROMQL_URL": endpoints.url(endpoints.metrics),
        "BEAT_SECONDS": str(profile.beat),
        "LEASE_SECONDS": str(profile.lease),
        "CALL_SECONDS": str(0.8 * (min(profile.lease, profile.slot) - profile.beat)),
        "ACK_DEADLINE_SECONDS": str(profile.ack_deadline),
        "SLOT_SECONDS": str(profile.slot),
        "SLOT_START_SECONDS": str(profile.slot_start),
        # The emulator is near, and what is in no filter's way is here at once.
        "HIGH_PULL_SECONDS": "0.2",
        "IDLE_SECONDS": str(profile.idle),
        # The small model is quicker than what a deployment assumes.
        "ASSUMED_REAL_TIME_FACTOR": "0.1",
        "GRACE_SECONDS": str(profile.grace),
        "WORKER_CONCURRENCY": str(profile.worker_concurrency),
        "MODEL": str(profile.model),
        "WEIGHTS": str(profile.weights),
        "API_KEYS": json.dumps([{"name": "local", "key": profile.api_key, "sees": "all"}]),
        "WEBHOOK_SECRET": profile.webhook_secret,
        "ALERT_TOKEN": profile.alert_token,
        "LOCAL_CLOUD": "true",
        "STORAGE_EMULATOR_HOST": endpoints.url(endpoints.storage),
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{endpoints.pubsub}",
        "TASKS_EMULATOR_HOST": f"127.0.0.1:{endpoints.tasks}",
        "RUN_EMULATOR_HOST": f"127.0.0.1:{endpoints.jobs}",
        **profile.extra,
    }
