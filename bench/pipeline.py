"""What the pipeline adds to the bare processing of the same file, with a cold worker and with a warm one."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.report import Figure, publish
from local.assets import Assets, ensure_assets
from local.cloud import LocalCloud, local_cloud
from local.profile import Profile
from local.upload import upload
from shared.job import Job
from shared.media.process import MediaProcessor
from shared.submit import DEFAULT_PROFILE

_PATIENCE_SECONDS = 300.0


def main() -> bool:
    """Measure, print, write build/bench/pipeline.json."""
    assets = ensure_assets()
    bare = _bare(assets)
    figures = [Figure("bare processing of the demo, model loaded", bare, "s", "lower")]
    with local_cloud(Profile(model=assets.model)) as cloud:
        for temperature in ("cold", "warm"):
            figures += _through(cloud, assets.demo, temperature, bare)
    return publish("pipeline", "One video through bucket, function, queue and worker", figures)


def _bare(assets: Assets) -> float:
    processor = MediaProcessor(model=assets.model, device="cpu")
    processor.warm()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        processor.process(
            assets.demo, DEFAULT_PROFILE["video"], Path(folder), explicit=False, report=lambda stage, percent: None
        )
        return time.perf_counter() - begun


def _through(cloud: LocalCloud, path: Path, temperature: str, bare: float) -> list[Figure]:
    job_id = upload(cloud, path, name=f"{temperature}{path.suffix}")
    uploaded = datetime.now(UTC)
    job = _wait(cloud, job_id)
    if job.started_at is None or job.finished_at is None or job.outcome is None:
        raise RuntimeError(f"the job ended {job.state}: {job.failure}")
    start = (job.started_at - uploaded).total_seconds()
    total = (job.finished_at - uploaded).total_seconds()
    return [
        Figure(f"end of upload → worker has the job, {temperature}", start, "s", "lower"),
        Figure(f"end of upload → succeeded, {temperature}", total, "s", "lower"),
        Figure(f"processing in the worker, {temperature}", job.outcome.processing_seconds, "s", "lower"),
        Figure(f"overhead over bare processing, {temperature}", total - bare, "s", "lower"),
    ]


def _wait(cloud: LocalCloud, job_id: str) -> Job:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < ends:
        seen = cloud.services.store.get(job_id)
        if seen is not None and seen.job.state.is_terminal:
            return seen.job
        time.sleep(0.1)
    raise TimeoutError(f"job {job_id} did not end within {_PATIENCE_SECONDS:.0f} s")
