"""What probe.json says besides the plain facts that ffprobe confirms in test_ffprobe.py."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.media.container import open_media
from shared.media.probe import describe
from shared.operations import Probe
from tests.annotated import FONT, make_annotated
from tests.films import Film, make_film
from tests.media import make_video
from tests.unit.media.conftest import Run

HDR_OPTIONS = {
    "x265-params": "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
    "L(10000000,50):max-cll=1000,400"
}
HDR10 = Film(codec="libx265", audio=None, pix_fmt="yuv420p10le", colors=(1, 9, 16, 9), options=HDR_OPTIONS)


def _streams(run: Run, source: Path) -> list[dict[str, Any]]:
    return run(source, Probe()).summary["probe"]["streams"]


@pytest.mark.parametrize(("rotation", "told"), [(0, "16:9"), (90, "9:16")])
def test_the_shape_is_not_that_of_rounded_sides(rotation: int, told: str, run: Run, tmp_path: Path) -> None:
    """853 1/3 pixels are as wide as NTSC's wide screen is."""
    source = make_video(tmp_path / "film.mp4", seconds=1, size=(720, 480), aspect=Fraction(32, 27), rotation=rotation)
    (video,) = _streams(run, source)
    assert video["display_aspect_ratio"] == told


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_hdr10_is_told_with_its_mastering(suffix: str, run: Run, tmp_path: Path) -> None:
    source = make_film(tmp_path / f"film{suffix}", replace(HDR10, suffix=suffix))
    (video,) = _streams(run, source)
    colours = ("color_range", "color_space", "color_transfer", "color_primaries", "bit_depth", "hdr")
    assert [video[name] for name in colours] == ["tv", "bt2020nc", "smpte2084", "bt2020", 10, True]
    assert video["content_light_level"] == {"max_cll": 1000, "max_fall": 400}
    assert video["mastering_display"] == pytest.approx(
        {
            "red_x": 0.68,
            "red_y": 0.32,
            "green_x": 0.265,
            "green_y": 0.69,
            "blue_x": 0.15,
            "blue_y": 0.06,
            "white_x": 0.3127,
            "white_y": 0.329,
            "min_luminance": 0.005,
            "max_luminance": 1000.0,
        }
    )


def test_hlg_is_hdr_and_has_no_mastering(run: Run, tmp_path: Path) -> None:
    film = Film(codec="libx265", audio=None, pix_fmt="yuv420p10le", colors=(1, 9, 18, 9))
    (video,) = _streams(run, make_film(tmp_path / "film.mp4", film))
    assert (video["color_transfer"], video["hdr"], video["mastering_display"]) == ("arib-std-b67", True, None)


def test_standard_range_is_not_hdr(run: Run, tmp_path: Path) -> None:
    (video,) = _streams(run, make_film(tmp_path / "film.mp4", Film(audio=None, colors=(2, 1, 1, 1))))
    assert (video["color_range"], video["color_transfer"], video["hdr"], video["bit_depth"]) == (
        "pc",
        "bt709",
        False,
        8,
    )


UNEVEN = (0, 0.04, 0.1, 0.5, 0.9, 1.0, 1.04, 1.7, 1.9)
HICCUP = (0, *(0.3 + index / 25 for index in range(40)))


@pytest.mark.parametrize(
    ("film", "mode", "decided_by"),
    [
        (Film(), "constant", "index"),
        (Film(fps=30), "constant", "index"),
        (Film(".mkv", fps=30), "constant", "packets"),  # 33 and 34 ms in turn
        (Film(".ts", options={"preset": "medium", "bf": "3"}), "constant", "packets"),
        (Film(times=UNEVEN), "variable", "index"),
        (Film(".mkv", times=UNEVEN), "variable", "packets"),
        (Film(times=HICCUP), "constant", "index"),
        (Film(seconds=0.08), None, None),
    ],
    ids=["mp4", "mp4 30", "mkv 30", "ts", "uneven mp4", "uneven mkv", "one hiccup", "two pictures"],
)
def test_frame_rate_is_constant_or_variable(
    film: Film, mode: str | None, decided_by: str | None, run: Run, tmp_path: Path
) -> None:
    video = _streams(run, make_film(tmp_path / f"film{film.suffix}", film))[0]
    assert (video["frame_rate_mode"], video["frame_rate_mode_from"]) == (mode, decided_by)
    if mode:
        steps = [after - before for before, after in pairwise(film.moments)]
        seen = video["frame_interval_s"]
        assert (seen["shortest"], seen["longest"]) == pytest.approx((min(steps), max(steps)), abs=0.0011)


def test_all_that_a_film_holds_is_named(run: Run, tmp_path: Path) -> None:
    probed = run(make_annotated(tmp_path / "film.mkv"), Probe()).summary["probe"]
    chapters = [(chapter["start_s"], chapter["end_s"], chapter["title"]) for chapter in probed["chapters"]]
    assert chapters == [(0.0, 1.0, "It was the best of times"), (1.0, 2.0, "it was the worst of times")]
    names = ("type", "codec", "language", "title", "default", "forced", "dispositions")
    assert [tuple(stream[name] for name in names) for stream in probed["streams"]] == [
        ("video", "h264", None, None, True, False, ["default"]),
        ("audio", "flac", "deu", None, True, False, ["default"]),
        ("audio", "flac", "eng", "Kommentar", False, False, ["comment"]),
        ("subtitle", "subrip", "eng", "Signs", False, True, ["forced"]),
        ("attachment", None, None, None, False, False, []),
    ]
    font = probed["streams"][4]
    assert (font["filename"], font["mimetype"], font["size_bytes"]) == ("title.ttf", "font/ttf", len(FONT))
    assert probed["tags"]["title"] == "Zwei Städte"
    assert probed["best_streams"] == {"video": 0, "audio": 1}


def test_subtitles_of_an_mp4_are_named(run: Run, recording) -> None:  # type: ignore[no-untyped-def]
    probed = run(recording("nasa_13013.mp4"), Probe()).summary["probe"]
    subtitles = [stream for stream in probed["streams"] if stream["type"] == "subtitle"]
    assert [(stream["codec"], stream["language"], stream["frames"]) for stream in subtitles] == [
        ("mov_text", "eng", 6),
        ("mov_text", "eng", 6),
    ]
    assert probed["best_streams"] == {"video": 3, "audio": 1}


def test_what_matroska_tags_say_of_bit_rates_counts(run: Run, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", Film(".mkv", audio=None))
    assert [stream["bit_rate"] for stream in _streams(run, film)] == [None]
    # mkvmerge's statistics, in place of a tag that FFmpeg wrote.
    data = film.read_bytes()
    length = data[data.index(b"DURATION") + 11 :][:18]
    film.write_bytes(data.replace(b"DURATION", b"BPS-eng\0").replace(length, b"000000000000123456"))
    assert [stream["bit_rate"] for stream in _streams(run, film)] == [123456]


def test_a_container_that_is_open_already_is_described_alike(run: Run, tmp_path: Path) -> None:
    source = make_film(tmp_path / "film.mp4", Film())
    with open_media(source) as container:
        assert describe(container, size=source.stat().st_size, length=2.0) == run(source, Probe()).summary["probe"]
