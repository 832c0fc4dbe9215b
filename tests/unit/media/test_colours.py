"""Thumbnails and tiles show the colours that were filmed, as an ordinary screen has them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc
from PIL import Image

from shared.media.shrinker import Shrinker
from shared.operations import Shots, Storyboard, Thumbnails
from tests.films import Film, make_film
from tests.patches import BT601, BT709, BT2020, SIDE, UNSPECIFIED, Coding, make_patches
from tests.unit.media.conftest import Run

GRAYS = [[level] * 3 for level in (0, 0.1, 0.25, 0.5, 0.75, 1.0)]
COLOURS = [(0.8, 0, 0), (0, 0.8, 0), (0, 0, 0.8), (0.8, 0.5, 0.4), (0.3, 0.4, 0.6), (0.8, 0.8, 0)]
PATCHES = np.array([GRAYS, COLOURS])
PQ = Coding(BT2020, False, ColorTrc.SMPTE2084, ColorPrimaries.BT2020, "libx265", "yuv420p10le")
HLG = replace(PQ, transfer=ColorTrc.ARIB_STD_B67)


def _shown(path: Path) -> np.ndarray:
    """The colour in the middle of each patch."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture).astype(float)
    side = SIDE
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    inner = pixels.reshape(rows, side, columns, side, 3)[:, side // 4 : -(side // 4), :, side // 4 : -(side // 4)]
    return inner.mean(axis=(1, 3))


@pytest.mark.parametrize("is_full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("matrix", "said"), [(BT709, BT709), (BT601, BT601), (BT601, UNSPECIFIED)], ids=["709", "601", "unsaid"]
)
def test_standard_colours_are_right_in_every_range_and_matrix(
    matrix: int, said: int, is_full: bool, run: Run, tmp_path: Path, out: Path
) -> None:
    film = make_patches(tmp_path / "film.mp4", PATCHES, Coding(matrix, is_full, said=said))
    run(film, Thumbnails(count=1))
    assert _shown(out / "thumbnails/0001.jpg") == pytest.approx(PATCHES * 255, abs=4)


def test_high_definition_that_does_not_say_has_its_own_matrix(run: Run, tmp_path: Path, out: Path) -> None:
    tall = np.repeat(PATCHES, 9, axis=0)  # 720 lines
    run(make_patches(tmp_path / "film.mp4", tall, Coding(BT709, said=UNSPECIFIED)), Thumbnails(count=1))
    assert _shown(out / "thumbnails/0001.jpg") == pytest.approx(tall * 255, abs=4)


@pytest.mark.parametrize(
    ("coding", "suffix"),
    [(PQ, ".mp4"), (HLG, ".mp4"), (replace(PQ, codec="libx264"), ".mkv"), (replace(PQ, said=UNSPECIFIED), ".mkv")],
    ids=["PQ", "HLG", "H.264", "matrix unsaid"],
)
def test_high_dynamic_range_looks_as_its_standard_copy_does(
    coding: Coding, suffix: str, run: Run, tmp_path: Path, out: Path
) -> None:
    film = make_patches(tmp_path / f"film{suffix}", PATCHES, coding)
    run(film, Thumbnails(count=1), Storyboard(count=1, width=240))
    for path in (out / "thumbnails/0001.jpg", out / "storyboard.jpg"):
        shown, asked = _shown(path), PATCHES * 255
        assert shown[0, :5] == pytest.approx(asked[0, :5], abs=4)
        assert shown[0, 5] == pytest.approx(230, abs=3)  # diffuse white makes room for what is brighter
        # What is at the edge of BT.709 in BT.2020 is a matter of rounding.
        assert shown[1] == pytest.approx(asked[1], abs=16)
        assert shown[1, 3:5] == pytest.approx(asked[1, 3:5], abs=5)


@pytest.mark.parametrize("coding", [PQ, HLG], ids=["PQ", "HLG"])
@pytest.mark.parametrize(
    "primaries",
    [ColorPrimaries.BT709, ColorPrimaries.SMPTE432, ColorPrimaries.UNSPECIFIED],
    ids=["BT.709", "P3", "unsaid"],
)
def test_high_dynamic_range_has_the_primaries_that_it_states(
    coding: Coding, primaries: int, run: Run, tmp_path: Path, out: Path
) -> None:
    run(make_patches(tmp_path / "film.mp4", PATCHES, replace(coding, primaries=primaries)), Thumbnails(count=1))
    shown = _shown(out / "thumbnails/0001.jpg")
    assert shown[0, :5] == pytest.approx(PATCHES[0, :5] * 255, abs=4)
    assert shown[1] == pytest.approx(PATCHES[1] * 255, abs=20)
    assert shown[1, 3:5] == pytest.approx(PATCHES[1, 3:5] * 255, abs=5)


@pytest.mark.parametrize("coding", [PQ, HLG], ids=["PQ", "HLG"])
def test_highlights_keep_their_order_and_their_colour(coding: Coding, run: Run, tmp_path: Path, out: Path) -> None:
    bright = np.array([[[level] * 3 for level in (0.9, 1.0, 1.15, 1.35, 1.9)] + [[1.5, 0.9, 0.9]]])
    run(make_patches(tmp_path / "film.mp4", bright, coding), Thumbnails(count=1))
    shown = _shown(out / "thumbnails/0001.jpg")[0]
    assert (np.diff(shown[:5, 1]) > 3).all()
    assert shown[4] == pytest.approx(255, abs=1)
    assert shown[5, 0] > 240
    assert shown[5, 1] / shown[5, 0] == pytest.approx(0.9 / 1.5, abs=0.03)


@pytest.mark.parametrize(
    ("light", "white"),
    [
        (":max-cll=4000,400", 210),
        (":max-cll=203,100", 255),
        (":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)", 210),
    ],
    ids=["content light", "no brighter than white", "mastering display"],
)
def test_a_film_is_bent_by_how_bright_it_says_it_gets(
    light: str, white: int, run: Run, tmp_path: Path, out: Path
) -> None:
    run(make_patches(tmp_path / "film.mp4", PATCHES, replace(PQ, light=light)), Thumbnails(count=1))
    shown = _shown(out / "thumbnails/0001.jpg")[0]
    assert shown[5] == pytest.approx(white, abs=3)
    assert shown[3] == pytest.approx(127, abs=3)  # whatever it says, middle tones stay


def test_a_wide_gamut_alone_is_brought_into_the_usual_one(run: Run, tmp_path: Path, out: Path) -> None:
    coding = replace(PQ, transfer=ColorTrc.BT2020_10)
    run(make_patches(tmp_path / "film.mp4", PATCHES, coding), Thumbnails(count=1))
    shown = _shown(out / "thumbnails/0001.jpg")
    assert shown[0] == pytest.approx(PATCHES[0] * 255, abs=4)
    assert shown[1, 3:5] == pytest.approx(PATCHES[1, 3:5] * 255, abs=5)


@pytest.mark.parametrize("pixels", ["gray", "rgb24", "yuv420p"])
def test_a_matrix_or_range_that_swscale_refuses_is_replaced_by_a_near_one(pixels: str) -> None:
    shades = np.full((48, 64, 3), (200, 60, 60), np.uint8)
    frame = av.VideoFrame.from_ndarray(shades, format="rgb24").reformat(format="yuv420p")
    for stated, span in product(range(18), range(4)):
        frame.colorspace, frame.color_range = stated, span
        small = Shrinker().shrink(frame, (32, 24), pixels)
        assert (small.width, small.height) == (32, 24)
        assert (frame.colorspace, frame.color_range) == (stated, span)


@pytest.mark.parametrize("stated", ["YCgCo", "bt2020c", "ictcp"])
def test_pictures_of_an_odd_matrix_are_seen(stated: str, run: Run, tmp_path: Path) -> None:
    film = Film(seconds=1, options={"x264-params": f"colormatrix={stated}"})
    result = run(make_film(tmp_path / "film.mp4", film), Shots(), Thumbnails(count=2), Storyboard(count=2))
    assert result.warnings == ()
    assert result.summary["thumbnails"]["count"] == 2
