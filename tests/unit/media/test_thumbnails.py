from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from shared.media.shots import Shot
from shared.media.slots import of_shots
from shared.operations import Probe, Shots, Thumbnails
from tests.media import bar, make_video
from tests.scenes import make_scenes
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
    early = 0.024 if suffix == ".avi" else 0  # a keyframe every 0.48 s, near enough
    shown = [bar(_pixels(out, n)) + early / 2 for n in (1, 2, 3, 4)]
    assert shown == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.01 + early / 2)


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


def _light(out: Path, number: int) -> float:
    return float(_pixels(out, number).mean())


@pytest.mark.parametrize("together", [False, True], ids=["sought", "in the pass"])
def test_black_pictures_are_passed_over_where_there_is_a_choice(
    together: bool, run: Run, tmp_path: Path, out: Path
) -> None:
    # Black in the middle of the first half; in the second one from its middle to its end.
    film = make_scenes(tmp_path / "film.mp4", [], frames=400, fades=[(100, 1, 50), (350, 1, 110)])
    others = [Shots()] if together else []
    result = run(film, Thumbnails(count=2), *others)
    assert [_light(out, number) > 40 for number in (1, 2)] == [True, True]
    assert result.summary["thumbnails"]["seconds"] == pytest.approx([8 * 0.65, 8 + 8 * 0.35])
    run(film, Thumbnails(seconds=(4.0, 12.5)), *others)
    assert [_light(out, number) < 10 for number in (1, 2)] == [True, True]


@pytest.mark.parametrize("together", [False, True], ids=["sought", "in the pass"])
def test_blurred_pictures_are_passed_over_where_there_is_a_choice(
    together: bool, run: Run, tmp_path: Path, out: Path
) -> None:
    film = _with_blur(tmp_path / "film.mp4", seconds=4, blurred=(1.5, 2.5))
    result = run(film, Thumbnails(count=1), *([Shots()] if together else []))
    assert result.summary["thumbnails"]["seconds"] == [4 * 0.65]


def _with_blur(path: Path, *, seconds: int, blurred: tuple[float, float]) -> Path:
    width, height = 320, 180
    rows, columns = np.indices((height, width))
    sharp = Image.fromarray((((rows // 12 + columns // 12) % 2) * 120 + rows // 3 + 40).astype(np.uint8))
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for index in range(25 * seconds):
            is_blurred = blurred[0] <= index / 25 < blurred[1]
            shown = sharp.filter(ImageFilter.GaussianBlur(8)) if is_blurred else sharp
            frame = av.VideoFrame.from_ndarray(np.asarray(shown), format="gray")
            film.mux(video.encode(frame.reformat(format="yuv420p")))
        film.mux(video.encode(None))
    return path


@pytest.mark.parametrize("together", [False, True], ids=["sought", "in the pass"])
def test_a_film_that_is_black_throughout_gives_its_pictures(
    together: bool, run: Run, tmp_path: Path, out: Path
) -> None:
    film = make_scenes(tmp_path / "film.mp4", [], frames=100, fades=[(50, 1, 200)])
    summary = run(film, Thumbnails(count=3), *([Shots()] if together else [])).summary["thumbnails"]
    assert summary["seconds"] == pytest.approx([4 / 6, 2, 4 * 5 / 6], abs=0.001)  # where the middles are
    assert [_light(out, number) < 10 for number in (1, 2, 3)] == [True] * 3


def test_a_good_picture_is_sought_once(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = make_scenes(tmp_path / "film.mp4", [], frames=400, fps=10, keyframes=range(0, 400, 10))
    caplog.set_level(logging.DEBUG, "shared.media.decoding")
    run(film, Thumbnails(count=5))
    decoded = [
        record.details["frames"]["video"]
        for record in caplog.records
        if getattr(record, "event", "") == "media.decoded"
    ]
    assert 0 < sum(decoded) <= 10  # of four hundred: the keyframes before the middles


def test_after_a_bad_picture_the_others_are_sought_all_the_same(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_scenes(tmp_path / "film.mp4", [], frames=600, fps=10, keyframes=range(0, 600, 50), fades=[(165, 1, 70)])
    caplog.set_level(logging.DEBUG, "shared.media.decoding")
    summary = run(film, Thumbnails(count=2)).summary["thumbnails"]
    decoded = [
        record.details["frames"]["video"]
        for record in caplog.records
        if getattr(record, "event", "") == "media.decoded"
    ]
    assert summary["seconds"] == [24, 45]
    assert 0 < sum(decoded) <= 10  # of six hundred


def test_where_keyframes_are_far_apart_nothing_is_decoded_twice_over(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_scenes(tmp_path / "film.mp4", [], frames=600, fps=10)  # a keyframe every 25 s
    caplog.set_level(logging.DEBUG, "shared.media.decoding")
    run(film, Thumbnails(seconds=(3, 6, 9, 12, 15, 18, 21, 24, 50)))
    decoded = [
        record.details["frames"]["video"]
        for record in caplog.records
        if getattr(record, "event", "") == "media.decoded"
    ]
    assert 240 <= sum(decoded) <= 350


@pytest.mark.parametrize("others", [(), (Shots(),)], ids=["alone", "with shots"])
def test_there_is_one_picture_for_each_shot(others: tuple[Shots, ...], run: Run, tmp_path: Path, out: Path) -> None:
    film = make_scenes(tmp_path / "film.mp4", [30, 70, 75], frames=140, keyframes=[30, 45, 75, 100])
    result = run(film, Thumbnails(per="shot"), *others)
    # The keyframe nearest to the middle; the middle of the one without.
    assert result.summary["thumbnails"]["seconds"] == pytest.approx([0, 1.8, 72.5 / 25, 4.0], abs=0.001)
    seen = [_pixels(out, number).astype(int) for number in (1, 2, 3, 4)]
    run(film, Thumbnails(seconds=(0.0, 1.8, 2.9, 4.0)))
    expected = [_pixels(out, number).astype(int) for number in (1, 2, 3, 4)]
    assert [np.abs(one - other).max() for one, other in zip(seen, expected, strict=True)] == [0] * 4
    assert (out / "shots.json").exists() == bool(others)


def test_the_picture_of_a_shot_is_not_its_black_start(run: Run, tmp_path: Path, out: Path) -> None:
    film = make_scenes(tmp_path / "film.mp4", [50], frames=100, fades=[(50, 1, 20)], keyframes=[55])
    run(film, Thumbnails(per="shot"))
    assert [_light(out, number) > 40 for number in (1, 2)] == [True, True]


def test_of_very_many_shots_the_longest_have_a_picture() -> None:
    long = [Shot(0, 10.0 * index, 10.0 * index + 8) for index in range(90)]
    short = [Shot(0, 10.0 * index + 8, 10.0 * index + 10) for index in range(90)]
    slots = of_shots(sorted([*long, *short], key=lambda shot: shot.start), [])
    assert len(slots) == 100
    assert {(shot.start + shot.end) / 2 for shot in long} <= {moment for slot in slots for moment in slot}
    assert slots == sorted(slots)
