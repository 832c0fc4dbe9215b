from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.operations import Waveform
from tests.media import make_video
from tests.tones import make_tones
from tests.unit.media.conftest import Run


def _document(out: Path) -> dict[str, Any]:
    return json.loads((out / "waveform.json").read_text())


def _points(out: Path) -> np.ndarray:
    return np.array(_document(out)["data"]).reshape(-1, 2) / 2**15


def _picture(out: Path) -> Image.Image:
    with Image.open(out / "waveform.png") as picture:
        return picture.convert("L")


def test_document_is_what_audiowaveform_writes(run: Run, tmp_path: Path, out: Path) -> None:
    source = make_tones(tmp_path / "tone.wav", [(2.01, -6.0)])
    summary = run(source, Waveform(pixels_per_second=50)).summary["waveform"]
    document = _document(out)
    header = {"version": 2, "channels": 1, "sample_rate": 48_000, "samples_per_pixel": 960, "bits": 16, "length": 101}
    assert {key: document[key] for key in header} == header
    assert set(document) == {*header, "data"}
    assert len(document["data"]) == 2 * header["length"]
    assert summary["length"] == header["length"]


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_points_are_lowest_and_highest_of_their_time(layout: str, run: Run, tmp_path: Path, out: Path) -> None:
    run(make_tones(tmp_path / "tone.wav", [(1, -60.0), (1, -6.02)], layout=layout), Waveform(pixels_per_second=10))
    points = _points(out)
    assert points[:10] == pytest.approx(np.tile([-0.001, 0.001], (10, 1)), abs=0.001)
    assert points[11:20] == pytest.approx(np.tile([-0.5, 0.5], (9, 1)), abs=0.01)


def test_sound_that_starts_late_is_drawn_late(run: Run, speech: Path, tmp_path: Path, out: Path) -> None:
    run(make_video(tmp_path / "late.mkv", seconds=6, speech=speech, speech_start=2.0), Waveform(pixels_per_second=10))
    points = _points(out)
    assert np.abs(points[:19]).max() == 0
    assert np.abs(points[20:40]).max() > 0.02
    assert len(points) == pytest.approx(80, abs=1)


def test_picture_has_the_size_asked_for_and_shows_when_it_is_loud(run: Run, tmp_path: Path, out: Path) -> None:
    run(make_tones(tmp_path / "tone.wav", [(1, -40.0), (1, -10.0)]), Waveform(width=200, height=100))
    picture = _picture(out)
    assert picture.size == (200, 100)
    heights = (np.asarray(picture) < 200).sum(axis=0)
    assert heights[:95].max() < 10
    assert heights[105:].min() > 90
    assert heights.min() >= 1  # silence is a line


def test_shorter_than_the_picture_is_wide(run: Run, tmp_path: Path, out: Path) -> None:
    run(make_tones(tmp_path / "tone.wav", [(0.1, -10.0)]), Waveform(pixels_per_second=20, width=64, height=32))
    assert _document(out)["length"] == 2
    assert _picture(out).size == (64, 32)
