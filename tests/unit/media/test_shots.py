from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from shared.media.shots import cuts
from shared.operations import Shots
from tests.media import make_video
from tests.scenes import make_scenes
from tests.unit.media.conftest import Run

TOLERANCE = 0.07


def _cuts(out: Path) -> list[float]:
    return json.loads((out / "shots.json").read_text())["cuts"]


def _f1(found: Sequence[float], true: Sequence[float]) -> float:
    hits = sum(any(abs(cut - real) <= TOLERANCE for cut in found) for real in true)
    return 2 * hits / (len(found) + len(true))


def test_every_known_cut_is_found_and_no_other(run: Run, tmp_path: Path, out: Path) -> None:
    known = np.cumsum(np.random.default_rng(3).integers(4, 40, 60)).tolist()
    run(make_scenes(tmp_path / "film.mp4", known, frames=known[-1] + 20), Shots())
    assert _f1(_cuts(out), [index / 25 for index in known]) >= 0.98


def test_cuts_of_a_real_clip_are_found(run: Run, recording: Callable[[str], Path], out: Path) -> None:
    run(recording("bikes.mp4"), Shots())
    assert _f1(_cuts(out), [1.20, 3.04, 5.48, 7.48, 9.68]) >= 0.98


def test_shots_lie_between_the_cuts_and_cover_the_film(run: Run, tmp_path: Path, out: Path) -> None:
    summary = run(make_scenes(tmp_path / "film.mp4", [30, 70], frames=100), Shots()).summary["shots"]
    document = json.loads((out / "shots.json").read_text())
    assert document["shots"] == [{"start": 0, "end": 1.2}, {"start": 1.2, "end": 2.8}, {"start": 2.8, "end": 4.0}]
    assert summary == {"count": 3, "frames": 100}


def test_a_flash_is_no_cut(run: Run, tmp_path: Path, out: Path) -> None:
    run(make_scenes(tmp_path / "film.mp4", [40], frames=80, flashes=[20, 60]), Shots())
    assert _cuts(out) == [1.6]


def test_motion_is_no_cut(run: Run, tmp_path: Path, out: Path) -> None:
    run(make_video(tmp_path / "film.mp4", seconds=2), Shots())
    assert _cuts(out) == []


def test_times_are_those_of_the_container(run: Run, tmp_path: Path, out: Path) -> None:
    times = [index / 25 + (1.5 if index >= 20 else 0) + index % 3 / 100 for index in range(40)]
    run(make_scenes(tmp_path / "film.mkv", [20, 30], frames=40, times=times), Shots())
    assert _cuts(out) == pytest.approx([times[20], times[30]], abs=0.001)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_hold_no_cut(count: int, run: Run, tmp_path: Path, out: Path) -> None:
    run(make_scenes(tmp_path / "film.mkv", [], frames=count), Shots())
    assert _cuts(out) == []


def test_a_restless_picture_needs_a_greater_difference() -> None:
    calm, lasting = np.full(50, 5.0, np.float32), np.full(50, 99.0, np.float32)
    calm[25] = 16.0
    assert cuts(calm, lasting, 12.0) == [25]
    assert cuts(calm + 1, lasting, 12.0) == []
