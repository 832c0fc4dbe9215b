"""Every container with every coding: pictures at their times and in their colours, sound where it belongs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.audio.layout import AudioLayout
from PIL import Image

from shared.operations import Loudness, Probe, Shots, Storyboard, Thumbnails, Waveform
from tests.films import Film, make_film
from tests.media import bar
from tests.unit.media.conftest import Run

POINTS = 100  # of the waveform, for each second
FULL_HD, OLD_TV, FULL_RANGE, HDR10, HLG = (1, 1, 1, 1), (1, 6, 6, 6), (2, 1, 1, 1), (1, 9, 16, 9), (1, 9, 18, 9)
B_FRAMES = {"preset": "medium", "bf": "3", "g": "12"}
BRIEF = Film(seconds=1.0)
#: Formats without edit lists keep what an encoder puts before the sound, and so begin with it: 21 ms for AAC, 24 for
#: MP3, which AVI and its muxer round up to a picture. H.264 in AVI, which knows no presentation times, is one late.
PRIMED, ROUNDED, LATE = 0.023, 0.045, 0.085

SEEN = {
    "mp4 h264": Film(),
    "mp4 h264 high 10": Film(pix_fmt="yuv420p10le"),
    "mp4 h264 full range": Film(colors=FULL_RANGE),
    "mp4 h264 bt.709": Film(colors=FULL_HD),
    "mp4 h264 bt.601": Film(colors=OLD_TV),
    "mp4 h264 b-frames": Film(options=B_FRAMES),
    "mp4 h264 open gop": Film(options=B_FRAMES | {"x264-params": "open-gop=1"}),
    "mp4 hevc": Film(codec="libx265"),
    "mp4 av1 10 bit": replace(BRIEF, codec="libsvtav1", pix_fmt="yuv420p10le"),
    "mov h264": Film(".mov"),
    "mov prores": Film(".mov", "prores_ks", audio="pcm_s16le", pix_fmt="yuv422p10le"),
    "mov mjpeg": Film(".mov", "mjpeg", pix_fmt="yuvj420p"),
    "mkv h264": Film(".mkv"),
    "mkv h264 4:4:4 odd": Film(".mkv", size=(161, 91), pix_fmt="yuv444p"),
    "mkv hevc 10 bit": Film(".mkv", "libx265", pix_fmt="yuv420p10le"),
    "mkv av1": replace(BRIEF, suffix=".mkv", codec="libsvtav1"),
    "mkv mpeg-2": Film(".mkv", "mpeg2video", options={"bf": "2"}, audio="ac3"),
    "webm vp9": replace(BRIEF, suffix=".webm", codec="libvpx-vp9"),
    "webm vp9 odd": replace(BRIEF, suffix=".webm", codec="libvpx-vp9", size=(161, 91)),
    "webm av1": replace(BRIEF, suffix=".webm", codec="libsvtav1"),
    "avi mpeg-4": Film(".avi", "mpeg4", audio="pcm_s16le"),
    "avi mpeg-4 odd": Film(".avi", "mpeg4", audio="pcm_s16le", size=(161, 91)),
    "ts mpeg-2": Film(".ts", "mpeg2video", options={"bf": "2"}, audio="mp2"),
    "rotated by 90": Film(rotation=90),
    "rotated by 180": Film(rotation=180),
    "rotated by 270": Film(rotation=270),
    "mirrored": Film(mirrored=True),
    "no sound": Film(audio=None),
    "ntsc": Film(".mkv", fps=30),
    "variable mp4": Film(times=(0, 0.04, 0.1, 0.5, 0.9, 1.0, 1.04, 1.7, 1.9)),
    "variable mkv": Film(".mkv", times=(0, 0.04, 0.1, 0.5, 0.9, 1.0, 1.04, 1.7, 1.9)),
    "hdr10": Film(codec="libx265", pix_fmt="yuv420p10le", colors=HDR10),
    "hlg": Film(codec="libx265", pix_fmt="yuv420p10le", colors=HLG),
}
ROUGHLY = {
    "ts h264": (Film(".ts"), PRIMED),
    "ts h264 open gop": (Film(".ts", options=B_FRAMES | {"x264-params": "open-gop=1"}), PRIMED),
    "ts hevc": (Film(".ts", "libx265"), PRIMED),
    "avi mpeg-4 mp3": (Film(".avi", "mpeg4"), ROUNDED),
    "avi mpeg-4 b-frames": (Film(".avi", "mpeg4", options={"bf": "2"}), ROUNDED),
    "avi h264": (Film(".avi"), LATE),
}
FILMS = {name: (film, 0.0) for name, film in SEEN.items()} | ROUGHLY
EVEN = {name: (film, slack) for name, (film, slack) in FILMS.items() if not film.times}
COLOURED = {name: film for name, film in SEEN.items() if film.colors not in (HDR10, HLG)}

SOUNDS = {
    "mp3": (Film(".mp3", None), 0.0),
    "m4a": (Film(".m4a", None), 0.0),
    "flac": (Film(".flac", None), 0.0),
    "ogg": (Film(".ogg", None), 0.0),
    "opus": (Film(".opus", None), 0.0),
    "wav": (Film(".wav", None), 0.0),
    "aac": (Film(".aac", None), PRIMED),
    "5.1 aac": (Film(".m4a", None, layout="5.1"), 0.0),
    "5.1 ac3": (Film(".mkv", None, audio="ac3", layout="5.1"), 0.0),
    "8 kHz mono": (Film(".wav", None, rate=8000, layout="mono"), 0.0),
    "44.1 kHz": (Film(".m4a", None, rate=44_100), 0.0),
    "192 kHz": (Film(".flac", None, rate=192_000), 0.0),
    "96 kHz 24 bit": (Film(".wav", None, audio="pcm_s24le", rate=96_000), 0.0),
}


@pytest.mark.parametrize(("film", "slack"), FILMS.values(), ids=FILMS)
def test_pictures_are_those_of_their_times(film: Film, slack: float, run: Run, tmp_path: Path, out: Path) -> None:
    source = make_film(tmp_path / f"film{film.suffix}", film)
    asked, expected = _moments(film)
    passed = run(source, Probe(), Thumbnails(seconds=tuple(asked), width=film.size[0]), Storyboard(count=4), Shots())
    assert _bars(film, out, len(asked)) == pytest.approx(expected, abs=0.02 + slack / film.seconds)
    assert passed.warnings == ()
    # How long the last picture lasts is not always said.
    assert passed.media_seconds == pytest.approx(film.seconds, abs=0.1)
    assert passed.summary["probe"]["streams"][0]["decodable"]
    shots = json.loads((out / "shots.json").read_text())["shots"]
    assert [shots[0]["start"], shots[-1]["end"]] == pytest.approx([0.0, film.seconds], abs=0.1 + slack)
    assert len(shots) == 1
    tiles = passed.summary["storyboard"]
    with Image.open(out / "storyboard.jpg") as sheet:
        tile = sheet.crop((tiles["tile_width"], 0, 2 * tiles["tile_width"], tiles["tile_height"])).copy()
    begun = max(moment for moment in film.moments if moment < film.seconds * 3 / 8) / film.seconds
    assert bar(np.asarray(_as_stored(film, tile))) == pytest.approx(begun, abs=0.03 + (slack + 0.04) / film.seconds)


@pytest.mark.parametrize(("film", "slack"), EVEN.values(), ids=EVEN)
def test_pictures_are_sought_alike(film: Film, slack: float, run: Run, tmp_path: Path, out: Path) -> None:
    longer = replace(film, seconds=16.0, fps=5, options=film.options | {"g": "10"}, audio=None)  # so that seeking pays
    asked = (2.1, 7.3, 15.9)
    result = run(make_film(tmp_path / f"film{film.suffix}", longer), Thumbnails(seconds=asked, width=film.size[0]))
    assert result.warnings == ()
    expected = [(moment - 0.1) / longer.seconds for moment in asked]
    assert _bars(film, out, 3) == pytest.approx(expected, abs=0.01 + 5 * slack / longer.seconds)


@pytest.mark.parametrize("film", COLOURED.values(), ids=COLOURED)
def test_colours_are_right_within_a_few_levels(film: Film, run: Run, tmp_path: Path, out: Path) -> None:
    run(make_film(tmp_path / f"film{film.suffix}", film), Thumbnails(seconds=(0.0,), width=film.size[0]))
    with Image.open(out / "thumbnails/0001.jpg") as picture:
        pixels = np.asarray(_as_stored(film, picture)).astype(int)
    height, width = pixels.shape[:2]
    seen = [pixels[height // 6, width // 6], pixels[-height // 6, -width // 6], pixels[height * 7 // 9, width // 6]]
    assert np.array(seen) == pytest.approx(np.array([(255, 0, 0), (0, 0, 255), (64, 64, 64)]), abs=6)


@pytest.mark.parametrize(("film", "slack"), (FILMS | SOUNDS).values(), ids=FILMS | SOUNDS)
def test_sound_is_heard_when_it_sounds(film: Film, slack: float, run: Run, tmp_path: Path, out: Path) -> None:
    if film.audio is None:
        pytest.skip("a silent film")
    source = make_film(tmp_path / f"film{film.suffix}", film)
    result = run(source, Probe(), Loudness(), Waveform(pixels_per_second=POINTS))
    begins, ends = heard(out)
    assert (begins, ends) == pytest.approx(film.beep, abs=0.02 + slack)
    momentary = json.loads((out / "loudness.json").read_text())["momentary"]["lufs"]
    # A value stands for the 0.4 s before it.
    assert next(index for index, lufs in enumerate(momentary) if lufs > -40) / 10 == pytest.approx(begins, abs=0.11)
    audio = next(stream for stream in result.summary["probe"]["streams"] if stream["type"] == "audio")
    rate = 48_000 if film.suffix == ".opus" or audio["codec"] == "opus" else film.rate
    assert (audio["sample_rate"], audio["channels"]) == (rate, AudioLayout(film.layout).nb_channels)
    assert result.warnings == ()


def heard(out: Path) -> tuple[float, float]:
    """When the beep begins and ends by waveform.json."""
    points = np.abs(np.array(json.loads((out / "waveform.json").read_text())["data"])).reshape(-1, 2).max(axis=1)
    loud = np.flatnonzero(points > 0.1 * 2**15)
    return float(loud[0] / POINTS), float((loud[-1] + 1) / POINTS)


def _moments(film: Film) -> tuple[list[float], list[float]]:
    """Times to ask for, halfway through some of the pictures, and where the bar then stands."""
    bounds = [*film.moments, film.seconds]
    last = len(bounds) - 2
    chosen: Sequence[int] = sorted({0, 1, last // 3, last // 2, last - 1, last})
    asked = [(bounds[index] + bounds[index + 1]) / 2 for index in chosen]
    return asked, [bounds[index] / film.seconds for index in chosen]


def _bars(film: Film, out: Path, count: int) -> list[float]:
    places: list[float] = []
    for number in range(1, count + 1):
        with Image.open(out / f"thumbnails/{number:04}.jpg") as picture:
            places.append(bar(np.asarray(_as_stored(film, picture))))
    return places


def _as_stored(film: Film, picture: Image.Image) -> Any:
    """A picture turned back to how its film was made."""
    turned = picture.rotate(-film.rotation, expand=True)
    return turned.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if film.mirrored else turned
