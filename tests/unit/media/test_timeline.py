"""Times are presentation times: whatever starts late, early or in the middle, pictures and words keep their places."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.operations import Loudness, Probe, Shots, Thumbnails, Transcribe, Waveform
from tests.edit_lists import cut_head
from tests.films import Film, make_film
from tests.media import bar, make_video
from tests.unit.media.conftest import Run
from tests.unit.media.test_matrix import B_FRAMES, POINTS, heard

NEGATIVE = {"avoid_negative_ts": "disabled"}
PRIMED = 0.023  # see test_matrix.py


@dataclass(frozen=True)
class Shifted:
    """A film, and when its first picture and its first sound come on the file's own time line."""

    film: Film
    pictures: float = 0.0
    sound: float = 0.0
    #: How much of the head is cut off.
    picture_cut: float = 0.0
    sound_cut: float = 0.0


def _cut(*handlers: bytes) -> Film:
    after = partial(cut_head, seconds=0.52, handlers=handlers)
    return Film(options=B_FRAMES, after=after)


CASES = {
    "sound late, mp4": Shifted(Film(audio_start=1.0), sound=1.0),
    "sound late, mkv": Shifted(Film(".mkv", audio_start=1.0), sound=1.0),
    "sound late, ts": Shifted(Film(".ts", audio_start=1.0), sound=1.0),
    "sound a little late, mkv": Shifted(Film(".mkv", audio="flac", audio_start=0.09), sound=0.09),
    "sound a little late, mp4": Shifted(Film(audio_start=0.09), sound=0.09),
    "pictures late, mp4": Shifted(Film(video_start=1.0), pictures=1.0),
    "pictures late, mkv": Shifted(Film(".mkv", video_start=1.0), pictures=1.0),
    "pictures late, ts": Shifted(Film(".ts", video_start=1.0), pictures=1.0),
    "both late, mp4": Shifted(Film(video_start=4.48, audio_start=4.0), pictures=0.48),
    "both late, mkv": Shifted(Film(".mkv", video_start=4.48, audio_start=4.0), pictures=0.48),
    "both late, ts": Shifted(Film(".ts", video_start=4.48, audio_start=4.0), pictures=0.48),
    "edit list cuts both": Shifted(_cut(b"vide", b"soun"), picture_cut=0.52, sound_cut=0.52),
    "edit list cuts the pictures": Shifted(_cut(b"vide"), picture_cut=0.52),
    "edit list cuts the sound": Shifted(_cut(b"soun"), sound_cut=0.52),
    "negative, mp4": Shifted(
        Film(video_start=-0.52, audio_start=-0.52, muxer=NEGATIVE), picture_cut=0.52, sound_cut=0.52
    ),
    "negative, webm": Shifted(
        Film(".webm", "libvpx-vp9", seconds=1.0, video_start=-0.52, audio_start=-0.52, muxer=NEGATIVE)
    ),
    "negative, ts": Shifted(Film(".ts", video_start=-0.52, audio_start=-0.52, muxer=NEGATIVE)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_everything_stands_where_it_is_presented(case: Shifted, run: Run, tmp_path: Path, out: Path) -> None:
    film = case.film
    source = make_film(tmp_path / f"film{film.suffix}", film)
    shown = [case.pictures + time for time in (0.02, 0.22, 0.42)]
    thumbnails = Thumbnails(seconds=tuple(shown))
    result = run(source, Probe(), thumbnails, Shots(), Loudness(), Waveform(pixels_per_second=POINTS))
    assert result.warnings == ()
    expected = [(time - case.pictures + case.picture_cut - 0.02) / film.seconds for time in shown]
    assert _bars(out) == pytest.approx(expected, abs=(PRIMED + 0.04) / film.seconds)
    run(source, thumbnails)
    assert _bars(out) == pytest.approx(expected, abs=(PRIMED + 0.04) / film.seconds)
    begins, ends = (time + case.sound - case.sound_cut for time in film.beep)
    assert heard(out) == pytest.approx((begins, ends), abs=PRIMED + 0.02)
    shot = json.loads((out / "shots.json").read_text())["shots"][0]
    bounds = [case.pictures, case.pictures + film.seconds - case.picture_cut]
    assert [shot["start"], shot["end"]] == pytest.approx(bounds, abs=PRIMED + 0.06)
    assert result.media_seconds == pytest.approx(
        max(bounds[1], case.sound + film.seconds - case.sound_cut), abs=PRIMED + 0.04
    )


def _bars(out: Path) -> list[float]:
    places = []
    for number in (1, 2, 3):
        with Image.open(out / f"thumbnails/{number:04}.jpg") as picture:
            places.append(bar(np.asarray(picture)))
    return places


@pytest.fixture
def spoken(run: Run, out: Path) -> Callable[[Path], dict[str, float]]:
    """When each word of a film begins."""

    def words(source: Path) -> dict[str, float]:
        run(source, Transcribe())
        segments = json.loads((out / "transcript.json").read_text())["segments"]
        found = [(word["word"].strip(",.").lower(), word["start"]) for part in segments for word in part["words"]]
        return {f"{word} {number}": start for number, (word, start) in enumerate(found)}

    return words


def test_words_keep_their_times(spoken: Callable[[Path], dict[str, float]], speech: Path, tmp_path: Path) -> None:
    plain = spoken(make_video(tmp_path / "plain.mp4", seconds=3.5, fps=5, speech=speech))
    assert {"best", "times", "worst"} <= {word.split()[0] for word in plain}
    late = make_video(tmp_path / "late.mkv", seconds=3.5, fps=5, speech=speech, speech_start=2.5)
    times = [1.6 + index / 5 for index in range(10)]
    headless = make_video(tmp_path / "headless.mp4", seconds=3.5, fps=5, speech=speech, times=times)
    headless.write_bytes(cut_head(headless.read_bytes(), 0.5, handlers=(b"soun",)))
    for source, shift in ((late, 2.5), (headless, -0.5)):
        words = spoken(source)
        same = set(words) & set(plain)
        assert len(same) > len(plain) * 0.8
        shifts = [words[word] - plain[word] for word in same]
        assert np.median(shifts) == pytest.approx(shift, abs=0.1)
