from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import ProcessingFailed
from shared.operations import Shots, Storyboard
from tests.films import Film, make_film
from tests.media import bar, make_video
from tests.unit.media.conftest import Run

CUE = re.compile(r"(\S+) --> (\S+)\nstoryboard\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)")


def _sheet(out: Path) -> np.ndarray:
    with Image.open(out / "storyboard.jpg") as sheet:
        return np.asarray(sheet)


def _cues(out: Path) -> list[tuple[float, float, tuple[int, int, int, int]]]:
    def seconds(clock: str) -> float:
        return sum(float(part) * unit for part, unit in zip(clock.split(":"), (3600, 60, 1), strict=True))

    text = (out / "storyboard.vtt").read_text()
    assert text.startswith("WEBVTT\n\n")
    return [(seconds(a), seconds(b), (int(x), int(y), int(w), int(h))) for a, b, x, y, w, h in CUE.findall(text)]


def _tiles(out: Path) -> list[np.ndarray]:
    sheet = _sheet(out)
    return [sheet[y : y + height, x : x + width] for _, _, (x, y, width, height) in _cues(out)]


@pytest.mark.parametrize(
    ("suffix", "codec", "together"),
    [
        (".mp4", "libx264", False),
        (".mp4", "libx264", True),
        (".mov", "mjpeg", False),
        (".ts", "libx264", False),
        (".webm", "libvpx", True),
    ],
)
def test_each_tile_shows_the_middle_of_its_time(
    suffix: str, codec: str, together: bool, run: Run, tmp_path: Path, out: Path
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    source = make_video(tmp_path / f"film{suffix}", seconds=24, fps=10, codec=codec, pix_fmt=pix_fmt)
    run(source, Storyboard(count=12, width=320), *([Shots()] if together else []))
    cues = _cues(out)
    assert [cue[0] for cue in cues] == pytest.approx(range(0, 24, 2), abs=0.15)
    shown = [bar(tile) * 24 for tile in _tiles(out)]
    assert shown == pytest.approx([start + 1 for start in range(0, 24, 2)], abs=0.3)


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [
        (".avi", "mjpeg", "yuvj420p"),
        (".mov", "prores_ks", "yuv422p10le"),
        (".flv", "libx264", "yuv420p"),
        (".mpg", "mpeg2video", "yuv420p"),
    ],
)
def test_a_seek_that_lands_late_shows_nothing_long_before(
    suffix: str, codec: str, pix_fmt: str, run: Run, tmp_path: Path, out: Path
) -> None:
    """A step back of 5 s then finds an earlier keyframe, which is a way to the picture and not the picture."""
    source = make_video(tmp_path / f"film{suffix}", seconds=12, codec=codec, pix_fmt=pix_fmt)
    run(source, Storyboard(count=7, width=320))
    shown = [bar(tile) * 12 for tile in _tiles(out)]
    assert shown == pytest.approx([12 / 7 * (tile + 0.5) for tile in range(7)], abs=0.9)


def test_cues_cover_the_film_without_holes(run: Run, tmp_path: Path, out: Path) -> None:
    summary = run(make_video(tmp_path / "film.mp4", seconds=13), Storyboard()).summary["storyboard"]
    cues = _cues(out)
    assert (cues[0][0], cues[-1][1]) == (0, 13)
    assert all(one[1] == other[0] for one, other in pairwise(cues))
    assert summary == {
        "count": 13,
        "columns": 10,
        "rows": 2,
        "tile_width": 160,
        "tile_height": 90,
        "interval_s": 1.0,
    }
    assert _sheet(out).shape == (180, 1600, 3)
    assert {cue[2] for cue in cues} == {(x % 10 * 160, x // 10 * 90, 160, 90) for x in range(13)}


@pytest.mark.parametrize("count", [None, 100])
def test_a_picture_for_a_song_is_no_film_of_a_minute(count: int | None, run: Run, tmp_path: Path, out: Path) -> None:
    """WebVTT forbids a cue that begins and ends at once."""
    source = make_film(tmp_path / "song.mp4", Film(seconds=60, times=(0.0, 0.04)))
    run(source, Storyboard(count=count))
    cues = _cues(out)
    assert 1 <= len(cues) <= 40
    assert all(begins < ends for begins, ends, _ in cues)


def test_no_film_has_more_than_a_hundred_tiles(run: Run, tmp_path: Path, out: Path) -> None:
    run(make_video(tmp_path / "film.mp4", seconds=150, fps=2), Storyboard(width=96))
    assert len(_cues(out)) == 100
    assert [bar(tile) for tile in _tiles(out)] == sorted(bar(tile) for tile in _tiles(out))


@pytest.mark.parametrize(
    ("rotation", "aspect", "tile"),
    [(0, None, (160, 90)), (90, None, (160, 284)), (0, Fraction(2), (160, 44)), (0, Fraction(1, 8), (40, 180))],
    ids=["plain", "turned", "wide pixels", "tall"],
)
def test_tiles_are_upright_and_in_their_right_shape(
    rotation: int, aspect: Fraction | None, tile: tuple[int, int], run: Run, tmp_path: Path, out: Path
) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=2, rotation=rotation, aspect=aspect)
    summary = run(source, Storyboard(count=1)).summary["storyboard"]
    assert (summary["tile_width"], summary["tile_height"]) == tile
    pixels = _tiles(out)[0].astype(int)
    corner = pixels[-tile[1] // 9, tile[0] // 9] if rotation else pixels[tile[1] // 9, tile[0] // 9]
    assert corner[0] > corner[1] + 80  # red


def test_a_picture_has_no_storyboard(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "picture.png")
    with pytest.raises(ProcessingFailed, match="the file is a picture, not a video") as caught:
        run(tmp_path / "picture.png", Storyboard())
    assert caught.value.reason_code == "no_video_stream"
