from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from shared.media.facts import Facts, look
from shared.media.media_file import MediaFile
from shared.media.one_pass import decode_once
from shared.media.preview import MOST_BYTES, Film, Preview
from tests.media import bar, make_audio, make_video, picture


def _film(preview: Preview | None, source: Path) -> Film:
    assert preview is not None
    with MediaFile(source) as media:
        decode_once(media, {None: preview.hearing}, {None: preview.seeing}, lambda fraction: None)
    return preview.film()


def _facts(source: Path) -> Facts:
    with MediaFile(source) as media:
        return look(media)


def _preview(source: Path) -> Film:
    facts = _facts(source)
    assert facts.duration is not None
    return _film(Preview.of(facts, facts.duration), source)


def _pictures(film: Film) -> list[tuple[float, np.ndarray]]:
    with av.open(io.BytesIO(film.data)) as copy:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in copy.decode(video=0)]


def _sound(film: Film) -> np.ndarray:
    """Its samples, 24 000 a second, from the start of the film."""
    with av.open(io.BytesIO(film.data)) as copy:
        frames = list(copy.decode(audio=0))
        assert abs(frames[0].time) < 0.01
        return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames])


@pytest.mark.parametrize("times", [None, [0.0, 0.1, 1.5, 1.6, 3.0, 3.5]], ids=["even", "variable"])
def test_its_pictures_are_those_of_their_time(times: list[float] | None, tmp_path: Path) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=4, size=(640, 360), fps=20, times=times)
    shown = times or [index / 20 for index in range(80)]
    found = _pictures(_preview(source))
    assert [moment for moment, _ in found] == pytest.approx([number / 5 for number in range(len(found))])
    assert len(found) == pytest.approx(20, abs=3)
    assert found[0][1].shape == (180, 320, 3)
    expected = [max(time for time in shown if time <= moment + 1e-6) / 4 for moment, _ in found]
    assert [bar(pixels) for _, pixels in found] == pytest.approx(expected, abs=0.02)


def test_its_sound_keeps_its_time(tmp_path: Path, speech: Path) -> None:
    late = make_video(tmp_path / "late.mp4", seconds=5, size=(64, 36), fps=10, speech=speech, speech_start=2.0)
    heard = np.abs(_sound(_preview(late)))
    loud = heard > heard.max() / 10
    with av.open(speech) as recording:
        samples = np.concatenate([np.abs(frame.to_ndarray()[0]) for frame in recording.decode(audio=0)])
    first = np.flatnonzero(samples > samples[: 48_000 * 3].max() / 10)[0] / 48_000
    assert np.flatnonzero(loud)[0] / 24_000 == pytest.approx(2.0 + first, abs=0.1)


@pytest.mark.parametrize(
    ("rotation", "aspect", "size"), [(90, None, (180, 320)), (0, Fraction(4, 3), (320, 136)), (0, None, (320, 180))]
)
def test_it_is_upright_and_in_its_right_shape(
    rotation: int, aspect: Fraction | None, size: tuple[int, int], tmp_path: Path
) -> None:
    source = make_video(tmp_path / "film.mov", seconds=1, size=(640, 360), fps=10, rotation=rotation, aspect=aspect)
    pixels = _pictures(_preview(source))[0][1]
    assert pixels.shape[1::-1] == pytest.approx(size, abs=2)
    corner = pixels[-10, 10] if rotation else pixels[10, 10]
    assert corner.tolist() == pytest.approx([255, 0, 0], abs=30)


def test_a_picture_keeps_its_colours(tmp_path: Path) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=1, size=(1280, 720), fps=10)
    film = _preview(source)
    with av.open(io.BytesIO(film.data)) as copy:
        assert copy.streams.video[0].codec_context.colorspace == Colorspace.ITU709
    pixels = _pictures(film)[0][1].astype(int)
    small = picture((320, 180), 0.0).astype(int)
    assert np.abs(pixels[5:50, 5:95] - small[5:50, 5:95]).max() < 25
    assert np.abs(pixels[-50:-5, -95:-5] - small[-50:-5, -95:-5]).max() < 25


@pytest.mark.parametrize(
    ("seconds", "of_film", "of_sound", "of_mute_film"),
    [
        (5.0, "video/mp4", "audio/webm", "video/mp4"),
        (600.0, "video/mp4", "audio/webm", "video/mp4"),
        (3600.0, "audio/webm", "audio/webm", None),
        (14_400.0, None, None, None),
    ],
)
def test_the_longer_the_file_the_less_of_it_is_copied(
    seconds: float, of_film: str | None, of_sound: str | None, of_mute_film: str | None, tmp_path: Path, speech: Path
) -> None:
    film = _facts(make_video(tmp_path / "film.mp4", seconds=1, size=(64, 36), speech=speech))
    for facts, expected in (
        (film, of_film),
        (replace(film, video=None), of_sound),
        (replace(film, sample_rate=None), of_mute_film),
    ):
        preview = Preview.of(facts, seconds)
        assert (preview and preview.media_type) == expected


def test_restless_pictures_do_not_take_more_than_their_bits(tmp_path: Path) -> None:
    source = tmp_path / "noise.mp4"
    dice = np.random.default_rng(0)
    with av.open(source, "w") as film:
        video = film.add_stream("libx264", rate=5, options={"preset": "ultrafast", "qp": "10"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for _ in range(50):
            noise = dice.integers(0, 256, (180, 320, 3)).astype(np.uint8)
            film.mux(video.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        film.mux(video.encode(None))
    whole = Preview(_facts(source).video, 10.0, picture_bits=300_000, sound_bits=0)
    assert len(_film(whole, source).data) < 1.25 * 300_000 / 8 * 10
    bounded = Preview(_facts(source).video, 10.0, picture_bits=300_000, sound_bits=0, most_bytes=100_000)
    assert 50_000 < len(_film(bounded, source).data) < 110_000


def test_sound_alone_is_whole_and_small(tmp_path: Path, speech: Path) -> None:
    source = make_audio(tmp_path / "talk.mp3", speech=speech, seconds=10, layout="stereo")
    facts = _facts(source)
    film = _film(Preview.of(facts, 7000.0), source)
    assert len(_sound(film)) / 48_000 == pytest.approx(10, abs=0.2)
    assert len(film.data) * 700 < MOST_BYTES
