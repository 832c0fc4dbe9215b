"""Jobs as a hub keeps them, in each state, for hubctl's tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.classify import FileFacts
from shared.job import Artifact, Failure, Job, Outcome, Progress, Source, job_id_for
from shared.machines import Machine, Place
from shared.operations import Probe, Transcribe
from shared.prices import tariff
from shared.routing import Destination

TARIFF = tariff("us-central1", "us-central1")
BORN = datetime(2025, 11, 23, 16, 0, tzinfo=UTC)
TEXT = b"Yes no up down left right on off stop go.\n"
ARTIFACTS = {"transcript.txt": TEXT, "thumbnails/0001.jpg": b"\xff\xd8picture"}


def a_job(number: int = 1, **changes: Any) -> Job:
    """A job as the hub keeps it: queued, unless changed."""
    return Job(
        job_id=job_id_for(str(number)),
        key_hash="k",
        request_hash="r",
        caller="test",
        source=Source(uri=f"gs://media/film-{number}.mp4", generation=7),
        file=FileFacts(kind="video", file_type="mp4", content_type="video/mp4", size=1_000_000, found="MP4 video"),
        operations=(Probe(), Transcribe()),
        explicit=True,
        destination=Destination.GPU,
        reason="transcribe wants the GPU",
        created_at=BORN + timedelta(seconds=number),
        queued_at=BORN,
    ).model_copy(update=changes)


def running(job: Job, stage: str = "transcribe", percent: float = 42.0) -> Job:
    progress = Progress(stage=stage, percent=percent, eta_seconds=65)
    return job.leased("worker", BORN, Place(machine=Machine.GPU_JOB)).renewed(progress)


def succeeded(job: Job, artifacts: Mapping[str, bytes] | None = None) -> Job:
    made = tuple(
        Artifact(name=name, size=len(data), content_type="text/plain") for name, data in (artifacts or {}).items()
    )
    outcome = Outcome(
        folder=f"gs://results/{job.job_id}/1/",
        artifacts=made,
        summary={"transcribe": {"words": 10}},
        device="cpu",
        media_seconds=62.0,
        processing_seconds=4.1,
        queue_seconds=1.2,
        real_time_factor=0.0661,
    )
    return running(job).succeeded(
        outcome, ("the name ends in .mov, but the content is MP4 video",), BORN + timedelta(seconds=10)
    )


def failed(job: Job) -> Job:
    return running(job).failed(Failure(code="processing_failed", message="moov atom not found"), BORN)
