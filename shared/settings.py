"""Every setting of functions and workers, read from the environment once, all faults reported at once."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from shared.api_keys import ApiKey, parse_keys


def _comma_list(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _is_signing_key(secret: str) -> bool:
    """As Standard Webhooks has it: base64, with `whsec_` before it; the padding may be missing."""
    key = secret.rstrip().removeprefix("whsec_").rstrip("=")
    try:
        return bool(base64.b64decode(key + "=" * (-len(key) % 4), validate=True))
    except ValueError:
        return False


#: The value of TRACES that means Google's service; any other is a file.
CLOUD_TRACE: Final = "cloud-trace"
Names = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """Field names in capitals are the environment's names; a default is a decision, the rest is required."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=str.upper, populate_by_name=True, hide_input_in_errors=True
    )

    # Where things are.
    project: str
    region: str
    #: The GPU Job's region: Cloud Run offers L4 in few.
    gpu_region: str
    uploads_bucket: str
    results_bucket: str
    state_bucket: str
    #: Buckets a `gs://` source may name, besides the uploads bucket.
    source_buckets: Names = ()
    ingest_url: str
    dispatch_url: str
    deliver_url: str
    gpu_job: str = "nca-toolkit-gpu-job"
    cpu_job: str = "nca-toolkit-cpu-job"
    #: What GPU workers pull, as a Job and as pods. A filter cannot be changed: other file types mean other names.
    gpu_subscription: str = "gpu-work"
    gke_subscription: str = "gpu-gke-work"
    #: The same for jobs of high priority, which are taken first.
    gpu_high_subscription: str = "gpu-work-high"
    gke_high_subscription: str = "gpu-gke-work-high"

    # Routing.
    gpu_file_types: Names = ("mp4", "mov", "wav")
    enable_gke_route: bool = False
    max_gpu_executions: Annotated[int, Field(ge=1, le=100)] = 2
    gpu_backlog_limit: Annotated[int, Field(ge=1)] = 100
    #: From so many waiting jobs on, of all routes, `ingest` takes no new one.
    max_backlog: Annotated[int, Field(ge=1)] = 10_000
    #: Base of a Prometheus-compatible query API that knows the backlog; unknown means "not busy".
    promql_url: str | None = None

    # Time, in seconds. beat < lease < ack deadline; resources.toml holds the deployed subscription's deadline.
    beat_seconds: Seconds = 4
    lease_seconds: Seconds = 45
    #: A call to storage or Pub/Sub that a beat waits for is given up after so long without an answer.
    call_seconds: Seconds = 10
    ack_deadline_seconds: Annotated[int, Field(ge=10, le=600)] = 60
    progress_seconds: Seconds = 2
    #: A slot that its execution no longer renews is free after this.
    slot_seconds: Seconds = 60
    #: The same for an execution that has not begun to renew: image pull and start.
    slot_start_seconds: Seconds = 240
    #: A drainer leaves after so long without work; longer than the longest redelivery backoff.
    idle_seconds: Seconds = 75
    #: A worker waits so long for a job of high priority before it takes another: as long as a message that is there
    #: may take to come.
    high_pull_seconds: Seconds = 1
    #: What the sweep looks at must be at least so old.
    grace_seconds: Seconds = 120
    #: A marker whose record never came is taken away after this: longer than any request to a function may last.
    abandoned_seconds: Seconds = 600
    #: A ticket of POST /v1/uploads that no file came for counts against its caller's allowance for so long.
    ticket_seconds: Seconds = 3600
    task_timeout_seconds: Seconds = 900
    #: Between SIGTERM and SIGKILL: Cloud Run's own, or a pod's terminationGracePeriodSeconds.
    termination_grace_seconds: Seconds = 10
    #: Processing time over media time, assumed until a worker has measured its own.
    assumed_real_time_factor: Seconds = 0.15

    # Limits.
    max_attempts: Annotated[int, Field(ge=1)] = 5
    max_source_bytes: Annotated[int, Field(ge=1)] = 20 * 2**30
    max_wait_seconds: Seconds = 60
    worker_concurrency: Annotated[int, Field(ge=1, le=64)] = 1

    # What one file may take of its decoder, which runs in a process of its own.
    #: CPU seconds for opening it, and so many more for each second of the recording.
    decode_cpu_seconds: Seconds = 300
    decode_cpu_factor: Seconds = 30
    #: Address space above what the libraries take, where the CPU decodes: 8K of 10 bits takes about half of it.
    decode_memory_bytes: Annotated[int, Field(ge=64 * 2**20)] = 4 * 2**30
    #: So long may nothing come of the decoder.
    decode_silence_seconds: Seconds = 60

    # The models.
    #: A local folder or gs://bucket/prefix of a CTranslate2 Whisper model.
    model: str | None = None
    #: A local folder with the small models' weights, which `python -m workers.weights` fills.
    weights: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    require_gpu: bool = False

    # Who may call, and whom we call.
    api_keys: Annotated[tuple[ApiKey, ...], BeforeValidator(parse_keys)] = ()
    #: Service accounts whose OIDC tokens pushes, tasks and the scheduler carry.
    invoker_accounts: Names = ()
    #: What those tokens are made out to: the functions' own URLs, without a path.
    audiences: Names = ()
    #: The account those tokens are minted for, when we create tasks.
    tasks_account: str | None = None
    webhook_secret: SecretStr | None = None
    alert_token: SecretStr | None = None
    n8n_alert_url: SecretStr | None = None
    slack_webhook_url: SecretStr | None = None

    # What is told of the work.
    #: Where spans go: `cloud-trace`, or a file that gets them as JSON lines. Without it there are none.
    traces: str | None = None

    # The local cloud: no tokens exist there, and webhooks go to loopback.
    local_cloud: bool = False
    storage_emulator_host: str | None = None
    pubsub_emulator_host: str | None = None
    tasks_emulator_host: str | None = None
    run_emulator_host: str | None = None

    # What the platform tells: this function's service, this execution's task.
    k_service: str | None = None
    job_id: str | None = None
    submission: int | None = None
    gpu_slot: int | None = None
    gpu_slot_token: str | None = None
    #: The span that started this execution.
    traceparent: str | None = None
    #: What a pod's probes look at.
    heartbeat_file: Path | None = None
    #: A pod's own, for temporary files: emptied when a worker begins.
    scratch_folder: Path | None = None
    cloud_run_execution: str | None = None
    hostname: str = "unknown"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = []
        if not self.beat_seconds * 2 <= self.lease_seconds < self.ack_deadline_seconds:
            faults.append("BEAT_SECONDS * 2 <= LEASE_SECONDS < ACK_DEADLINE_SECONDS must hold")
        faults += [
            f"BEAT_SECONDS + CALL_SECONDS < {name} must hold"
            for name, seconds in (
                ("LEASE_SECONDS", self.lease_seconds),
                ("ACK_DEADLINE_SECONDS", self.ack_deadline_seconds),
                ("SLOT_SECONDS", self.slot_seconds),
            )
            if not self.beat_seconds + self.call_seconds < seconds
        ]
        emulators = (
            self.storage_emulator_host,
            self.pubsub_emulator_host,
            self.tasks_emulator_host,
            self.run_emulator_host,
        )
        if self.webhook_secret is not None and not _is_signing_key(self.webhook_secret.get_secret_value()):
            faults.append("WEBHOOK_SECRET must be whsec_ and base64")
        if self.local_cloud and not (all(emulators) and self.project.startswith("local-")):
            faults.append(
                "LOCAL_CLOUD trusts unsigned callers: it needs all four emulators and a project named local-…"
            )
        if not self.local_cloud and any(emulators):
            faults.append("an emulator is set but LOCAL_CLOUD is not")
        if not self.local_cloud:
            faults += [f"{name} is missing: {why}" for name, why in self._missing()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _missing(self) -> Iterator[tuple[str, str]]:
        """What only the local cloud can do without."""
        if not self.invoker_accounts:
            yield "INVOKER_ACCOUNTS", "no push or task could ever be accepted"
        if not self.audiences:
            yield "AUDIENCES", "no token could ever be right"
        if not self.tasks_account:
            yield "TASKS_ACCOUNT", "tasks would carry no token"
        if self.k_service == "deliver" and self.webhook_secret is None:
            yield "WEBHOOK_SECRET", "webhooks would leave unsigned"
        if self.k_service == "ingest" and not self.api_keys:
            yield "API_KEYS", "nobody could ever call"

    @property
    def gpu_lanes(self) -> tuple[str, str]:
        """What the GPU Job pulls, the high lane first."""
        return self.gpu_high_subscription, self.gpu_subscription

    @property
    def gke_lanes(self) -> tuple[str, str]:
        """What the pods pull, the high lane first."""
        return self.gke_high_subscription, self.gke_subscription

    @property
    def readable_buckets(self) -> frozenset[str]:
        """Buckets a `gs://` source may name."""
        return frozenset((*self.source_buckets, self.uploads_bucket))


def parse(environment: Mapping[str, str]) -> Settings:
    """Settings from a mapping; empty values count as absent. Raises pydantic's ValidationError with every fault."""
    return Settings.model_validate({name: value for name, value in environment.items() if value != ""})


def check_at_start() -> None:
    """On the platform, a bad value fails the deployment, and the revision before goes on serving."""
    if "K_SERVICE" in os.environ:
        from_environment()


@cache
def from_environment() -> Settings:
    return parse(os.environ)
