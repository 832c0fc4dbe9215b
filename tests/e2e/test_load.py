"""A large file, and many at once; times are printed (pytest -rP, or make test's own summary), not judged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from local.assets import Assets
from tests.e2e.driver import Driver
from tests.media import make_large_mp4

pytestmark = pytest.mark.e2e


def test_a_100_mb_video_goes_all_the_way(hub: Driver, assets: Assets, tmp_path: Path) -> None:
    path = make_large_mp4(tmp_path / "large.mp4", megabytes=100, speech=assets.speech)
    assert path.stat().st_size >= 100_000_000
    begun = time.monotonic()
    job_id = hub.upload(path)
    uploaded = time.monotonic()
    job = hub.ended(job_id, within_s=240)
    assert job.state == "succeeded", job
    print(
        f"{path.stat().st_size / 1e6:.0f} MB, {job.outcome.media_seconds:.0f} s of video: "
        f"upload {uploaded - begun:.1f} s, queue {job.outcome.queue_seconds:.1f} s, "
        f"processing {job.outcome.processing_seconds:.1f} s, real-time factor {job.outcome.real_time_factor:.2f}"
    )


def test_ten_uploads_at_once_are_all_done(hub: Driver, recordings: Path) -> None:
    begun = time.monotonic()
    job_ids = [hub.upload(recordings / "short.mp4", f"one-of-ten-{number}.mp4") for number in range(10)]
    assert len(set(job_ids)) == 10
    for job_id in job_ids:
        job = hub.ended(job_id, within_s=180)
        assert (job.state, job.attempts_counted) == ("succeeded", 1), job
    print(f"ten uploads of 4 s each: the backlog was done in {time.monotonic() - begun:.1f} s")
