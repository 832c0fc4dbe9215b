from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from local.assets import Assets
from shared.media.artifacts import ArtifactFolder
from shared.media.cuts import cuts
from shared.media.luma import REACH, LumaMeter, Measures
from shared.media.media_file import MediaFile
from shared.media.one_pass import decode_once
from shared.media.shots import Shot, ShotFinder
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


def test_cuts_of_a_real_clip_are_found(run: Run, assets: Assets, out: Path) -> None:
    run(assets.bikes, Shots())
    assert _f1(_cuts(out), [1.20, 3.04, 5.48, 7.48, 9.68]) >= 0.98


def test_shots_lie_between_the_cuts_and_cover_the_film(run: Run, tmp_path: Path, out: Path) -> None:
    summary = run(make_scenes(tmp_path / "film.mp4", [30, 70], frames=100), Shots()).summary["shots"]
    document = json.loads((out / "shots.json").read_text())
    assert document["shots"] == [{"start": 0, "end": 1.2}, {"start": 1.2, "end": 2.8}, {"start": 2.8, "end": 4.0}]
    assert (document["model"], document["threshold"], document["frames"]) == ("luma", 12.0, 100)
    assert summary == {"count": 3, "frames": 100}


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_flash_is_no_cut(length: int, run: Run, tmp_path: Path, out: Path) -> None:
    flashes = [*range(20, 20 + length), *range(60, 60 + length)]
    run(make_scenes(tmp_path / "film.mp4", [40], frames=80, flashes=flashes), Shots())
    assert _cuts(out) == [1.6]


def test_a_flash_from_one_scene_into_the_next_is_one_cut(run: Run, tmp_path: Path, out: Path) -> None:
    flashes = [40, 80, 81, 120, 121, 122]
    run(make_scenes(tmp_path / "film.mp4", [40, 80, 120], frames=160, flashes=flashes), Shots())
    assert _cuts(out) == [41 / 25, 82 / 25, 123 / 25]  # when the new scene is to be seen


def test_a_fade_through_black_is_one_cut(run: Run, tmp_path: Path, out: Path) -> None:
    middles = [100, 200, 300, 400, 500]
    fades = [(middle, ramp, black) for middle, (ramp, black) in zip(middles, FADES, strict=True)]
    run(make_scenes(tmp_path / "film.mp4", middles, frames=600, fades=fades), Shots())
    found = np.multiply(_cuts(out), 25)
    ends = [middle + black / 2 + ramp / 2 for middle, ramp, black in fades]
    assert len(found) == len(middles)
    assert all(middle <= index <= end for index, middle, end in zip(found, middles, ends, strict=True))


#: Frames of the ramp on each side, and black ones between.
FADES = [(2, 20), (3, 3), (8, 0), (12, 6), (50, 1)]


def test_black_at_the_start_and_at_the_end_is_no_shot_of_its_own(run: Run, tmp_path: Path, out: Path) -> None:
    run(make_scenes(tmp_path / "film.mp4", [60], frames=120, fades=[(0, 6, 20), (120, 6, 20)]), Shots())
    assert _cuts(out) == [60 / 25]


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


def _steady(difference: float, frames: int = 50) -> Measures:
    """Of a film whose pictures differ by this, however far apart they are."""
    differences = np.full((frames, REACH), difference, np.float32)
    return Measures(differences, np.full(frames, 50, np.float32), np.zeros(frames, np.float32))


def test_a_restless_picture_needs_a_greater_difference() -> None:
    calm, restless = _steady(5), _steady(6)
    for measures in (calm, restless):
        for lag in range(REACH):
            measures.differences[25 + lag, lag:] = 16
    assert cuts(calm, 12) == [25]
    assert cuts(restless, 12) == []


def test_the_same_picture_in_another_light_is_no_cut() -> None:
    pictures = np.random.default_rng(5).integers(0, 120, (36, 64)) * np.where(np.arange(40) < 20, 1, 2)[:, None, None]
    meter = LumaMeter((64, 36))
    for picture in pictures.astype(np.uint8):
        meter.add(picture)
    measures = meter.measures()
    assert measures.differences[20, 0] > 50
    assert cuts(measures, 12) == []


@pytest.mark.parametrize("frames", [1, 3, 5, 256, 257, 600])
def test_measures_are_the_same_however_many_frames_go_into_a_block(frames: int) -> None:
    pictures = np.random.default_rng(frames).integers(0, 256, (frames, 4, 6)).astype(np.uint8)
    meter = LumaMeter((6, 4))
    for picture in pictures:
        meter.add(picture)
    measures = meter.measures()
    flat = pictures.reshape(frames, -1).astype(float)
    for lag in range(1, REACH + 1):
        expected = np.abs(flat[lag:] - flat[:-lag]).mean(axis=1)
        assert measures.differences[lag:, lag - 1] == pytest.approx(expected, abs=1e-3)
        assert np.isnan(measures.differences[:lag, lag - 1]).all()
    assert measures.contrast == pytest.approx(flat.std(axis=1), abs=1e-3)
    likeness = [np.corrcoef(one, other)[0, 1] for one, other in pairwise(flat)]
    assert measures.likeness[1:] == pytest.approx(likeness, abs=1e-4)


def test_others_are_told_the_shots_and_the_keyframes(tmp_path: Path) -> None:
    finder = ShotFinder(Shots(), (0.0, 4.0), ArtifactFolder(tmp_path))
    film = make_scenes(tmp_path / "film.mp4", [30, 70], frames=100, keyframes=[30, 90])
    with MediaFile(film) as media:
        decode_once(media, {}, {None: [finder]}, lambda fraction: None)
    assert finder.found() == [Shot(0, 0.0, 1.2), Shot(30, 1.2, 2.8), Shot(70, 2.8, 4.0)]
    assert finder.keyframes() == [0.0, 1.2, 3.6]


def test_a_threshold_for_the_network_is_refused() -> None:
    with pytest.raises(ValidationError, match="threshold is for the model luma only"):
        Shots(model="transnetv2", threshold=12)
