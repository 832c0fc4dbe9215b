from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.operations import Probe, Thumbnails
from tests.media import bar, make_video
from tests.unit.media.conftest import Run

RED, BLUE = 0, 2


def _pixels(out: Path, number: int = 1) -> np.ndarray:
    return np.asarray(Image.open(out / f"thumbnails/{number:04}.jpg"))


def _corners(pixels: np.ndarray) -> dict[int, str]:
    """In which corner the red and the blue patch are."""
    height, width = pixels.shape[:2]
    places = {
        "top left": pixels[height // 9, width // 9],
        "top right": pixels[height // 9, -width // 9],
        "bottom left": pixels[-height // 9, width // 9],
        "bottom right": pixels[-height // 9, -width // 9],
    }
    return {colour: max(places, key=lambda place: int(places[place][colour])) for colour in (RED, BLUE)}


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "libx264"),
        (".mkv", "libx264"),
        (".ts", "libx264"),
        (".avi", "mpeg4"),
        (".webm", "libvpx"),
        (".h264", "libx264"),
    ],
)
def test_pictures_are_taken_at_the_middle_of_equal_parts(
    suffix: str, codec: str, run: Run, tmp_path: Path, out: Path
) -> None:
    run(make_video(tmp_path / f"film{suffix}", seconds=20, codec=codec), Thumbnails(count=4))
    assert [bar(_pixels(out, n)) for n in (1, 2, 3, 4)] == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.01)


def test_pictures_are_taken_at_the_seconds_asked_for_in_that_order(run: Run, tmp_path: Path, out: Path) -> None:
    result = run(make_video(tmp_path / "film.mp4", seconds=20), Thumbnails(seconds=(15, 0, 5, 5.02, 99)))
    assert [bar(_pixels(out, n)) for n in range(1, 6)] == pytest.approx([0.75, 0.0, 0.25, 0.25, 0.998], abs=0.01)
    assert result.summary["thumbnails"]["seconds"] == [15, 0, 5, 5.02, 99]
    assert result.warnings == ("1 of 5 thumbnails lie after the end (20.00 s) and show the last picture",)


def test_five_pictures_when_nothing_is_said(run: Run, tmp_path: Path) -> None:
    summary = run(make_video(tmp_path / "film.mp4", seconds=2), Thumbnails()).summary["thumbnails"]
    assert summary["names"] == [f"thumbnails/{n:04}.jpg" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("rotation", "red", "blue"),
    [(90, "bottom left", "top right"), (-90, "top right", "bottom left"), (180, "bottom right", "top left")],
)
def test_a_film_from_a_phone_stands_upright(
    rotation: int, red: str, blue: str, run: Run, tmp_path: Path, out: Path
) -> None:
    result = run(make_video(tmp_path / "film.mp4", seconds=1, rotation=rotation), Probe(), Thumbnails(count=1))
    stream = result.summary["probe"]["streams"][0]
    upright = rotation in (90, -90)
    assert (stream["display_width"], stream["display_height"]) == ((180, 320) if upright else (320, 180))
    assert stream["rotation"] == -rotation % 360
    assert _pixels(out).shape[:2] == ((320, 180) if upright else (180, 320))
    assert _corners(_pixels(out)) == {RED: red, BLUE: blue}


@pytest.mark.parametrize(("value", "red"), [(1, "top left"), (3, "bottom right"), (6, "top right"), (8, "bottom left")])
def test_a_photograph_stands_upright(value: int, red: str, run: Run, tmp_path: Path, out: Path) -> None:
    picture = Image.new("RGB", (320, 180))
    picture.paste((255, 0, 0), (0, 0, 100, 60))
    exif = Image.Exif()
    exif[0x0112] = value
    picture.save(tmp_path / "photo.jpg", exif=exif)
    run(tmp_path / "photo.jpg", Thumbnails())
    assert _corners(_pixels(out))[RED] == red


@pytest.mark.parametrize(
    ("aspect", "size", "width", "shown"),
    [
        (None, (320, 180), 640, (320, 180)),
        (None, (320, 180), 100, (100, 56)),
        (Fraction(2), (320, 180), 640, (640, 180)),
        (Fraction(2), (320, 180), 320, (320, 90)),
        (Fraction(1, 2), (320, 180), 640, (160, 180)),
        (Fraction(16, 15), (720, 576), 400, (400, 300)),
    ],
)
def test_pixels_that_are_not_square_are_made_so_and_nothing_is_enlarged(
    aspect: Fraction | None,
    size: tuple[int, int],
    width: int,
    shown: tuple[int, int],
    run: Run,
    tmp_path: Path,
    out: Path,
) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=1, size=size, aspect=aspect)
    summary = run(source, Thumbnails(count=1, width=width)).summary["thumbnails"]
    assert (summary["width"], summary["height"]) == shown
    assert _pixels(out).shape[1::-1] == shown


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "suffix"),
    [
        ("libx265", "yuv420p10le", (320, 180), ".mp4"),
        ("libx264", "yuv444p", (321, 181), ".mp4"),
        ("libx264rgb", "rgb24", (320, 180), ".mkv"),
        ("qtrle", "argb", (320, 180), ".mov"),
        ("gif", "rgb8", (320, 180), ".gif"),
        ("ffv1", "gray", (320, 180), ".mkv"),
    ],
)
def test_any_pixel_format_becomes_a_picture(
    codec: str, pix_fmt: str, size: tuple[int, int], suffix: str, run: Run, tmp_path: Path, out: Path
) -> None:
    source = make_video(tmp_path / f"film{suffix}", seconds=2, fps=10, size=size, codec=codec, pix_fmt=pix_fmt)
    run(source, Thumbnails(seconds=(1.05,)))
    assert bar(_pixels(out)) == pytest.approx(0.5, abs=0.02)
    if pix_fmt != "gray":
        assert _corners(_pixels(out)) == {RED: "top left", BLUE: "bottom right"}


def test_frames_at_uneven_times_are_found_by_time(run: Run, tmp_path: Path, out: Path) -> None:
    times = [0, 0.04, 0.1, 0.5, 1.7, 1.8, 3.5, 3.9]
    run(make_video(tmp_path / "film.mp4", seconds=4, times=times), Thumbnails(seconds=(0.05, 0.4, 1.6, 1.7, 3.4, 3.95)))
    shown = [bar(_pixels(out, n)) * 4 for n in range(1, 7)]
    assert shown == pytest.approx([0.04, 0.1, 0.5, 1.7, 1.8, 3.9], abs=0.05)


def test_a_transparent_picture_stands_on_white(run: Run, tmp_path: Path, out: Path) -> None:
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "picture.png")
    run(tmp_path / "picture.png", Thumbnails())
    assert _pixels(out).min() > 250
