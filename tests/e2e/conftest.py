"""Local clouds for the end-to-end tests: one that works, one whose workers can be made to fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from local.assets import Assets, ensure_assets
from local.cloud import local_cloud
from local.profile import Profile
from tests.e2e.driver import Driver
from tests.fakes.loopback import receiving
from tests.media import make_audio, make_video, truncate

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def assets() -> Assets:
    return ensure_assets()


@pytest.fixture(scope="session")
def recordings(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same four seconds of speech in several formats."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("short.mp4", "short.mov"):
        make_video(folder / name, seconds=4, speech=assets.speech)
    for name in ("short.wav", "short.mp3"):
        make_audio(folder / name, speech=assets.speech, seconds=4)
    make_video(folder / "whole.mp4", seconds=20, speech=assets.speech)
    truncate(folder / "whole.mp4", 0.5).rename(folder / "cut.mp4")
    (folder / "text.mp4").write_text("This is no video.\n" * 100)
    return folder


@pytest.fixture(scope="module")
def hub(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A cloud as users have it: one GPU slot, the declared workers; and every span in a file."""
    spans = tmp_path_factory.mktemp("traces") / "spans.jsonl"
    with local_cloud(Profile(model=assets.model, extra={"TRACES": str(spans)})) as cloud:
        yield Driver(cloud, tmp_path_factory.mktemp("faults"))


#: Workers that meet the faults a test puts in.
_FAULTY: Final = {
    "gpu": ("python", "-m", "tests.e2e.faulty_worker", "gpu", "drain"),
    "cpu": ("python", "-m", "tests.e2e.faulty_worker", "cpu"),
}


@pytest.fixture(scope="module")
def steady(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Two GPU slots, and workers that hold a job when told; nothing runs out or is sent again meanwhile."""
    faults = tmp_path_factory.mktemp("faults")
    # Long for the high lane, which is asked for each message: a busy machine's emulator may take its time.
    extra = {"FAULTS": str(faults), "HIGH_PULL_SECONDS": "3"}
    with local_cloud(Profile(model=assets.model, max_gpu_executions=2, commands=_FAULTY, extra=extra)) as cloud:
        yield Driver(cloud, faults)


@pytest.fixture(scope="module")
def fragile(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A cloud whose workers die on demand; two GPU slots, short leases, and somebody who hears its alerts."""
    faults = tmp_path_factory.mktemp("faults")
    with receiving("/n8n") as n8n, local_cloud(_fragile(assets, faults, n8n.url)) as cloud:
        yield Driver(cloud, faults, n8n)


def _fragile(assets: Assets, faults: Path, n8n_url: str) -> Profile:
    return Profile(
        model=assets.model,
        max_gpu_executions=2,
        beat=1,
        lease=6,
        slot=4,
        slot_start=10,
        idle=8,
        grace=6,
        sweep_every=2,
        commands=_FAULTY,
        # A lease is renewed each second, so that a worker may be held up for four.
        extra={"FAULTS": str(faults), "N8N_ALERT_URL": n8n_url, "PROGRESS_SECONDS": "0.5"},
    )
