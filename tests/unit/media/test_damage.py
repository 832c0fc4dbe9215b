"""What is damaged gives what is left, with a warning; what is cut off is an error. For every operation alike."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from shared.errors import ProcessingFailed
from shared.operations import Loudness, Probe, Shots, Storyboard, Thumbnails, Waveform
from tests.annotated import SUBTITLES_END, make_annotated
from tests.films import Film, make_film
from tests.unit.media.conftest import Run

FASTSTART = {"movflags": "+faststart"}
B_FRAMES = {"preset": "veryfast", "bf": "3", "g": "25"}
FILMS = {
    "mp4": Film(seconds=8, options=B_FRAMES, muxer=FASTSTART),
    "mkv": Film(".mkv", seconds=8, options=B_FRAMES),
    "webm": Film(".webm", "libvpx-vp9", seconds=4),
    "avi": Film(".avi", "mpeg4", seconds=8),
    "ts": Film(".ts", seconds=8, options=B_FRAMES),
    "mp3": Film(".mp3", None, seconds=20),
    "m4a": Film(".m4a", None, seconds=20, muxer=FASTSTART),
    "flac": Film(".flac", None, seconds=20),
    "ogg": Film(".ogg", None, seconds=20),
    "wav": Film(".wav", None, seconds=20),
    "aac": Film(".aac", None, seconds=20),
}
SOUND = (Loudness(), Waveform())
PICTURES = (Shots(), Storyboard(count=4), Thumbnails(count=3))

REFUSED = "damaged {} packets were left out"
MISSING = "sound is missing for"
SHORT = "but its content stops at"
#: What is warned of when a twentieth of the file, in its middle, is noise: of the sound, and of the pictures. WAV and
#: AVI have nothing by which noise could be told from sound and from a picture that never was.
GARBLED = {
    "mp4": (REFUSED.format("audio"), REFUSED.format("video")),
    "mkv": (MISSING, None),
    "webm": (SHORT, SHORT),
    "avi": (None, None),
    "ts": (MISSING, None),
    "mp3": (REFUSED.format("audio"), None),
    "m4a": (REFUSED.format("audio"), None),
    "flac": (MISSING, None),
    "ogg": (MISSING, None),
    "wav": (None, None),
    "aac": (REFUSED.format("audio"), None),
}


def _garble(data: bytes) -> bytes:
    middle, much = len(data) // 2, max(len(data) // 20, 600)
    return data[:middle] + random.Random(1).randbytes(much) + data[middle + much :]


def _behead(data: bytes) -> bytes:
    """A WavPack of which nothing can be read from the first block of the second half on."""
    middle = data.index(b"wvpk", len(data) // 2)
    return data[:middle] + random.Random(1).randbytes(5000) + data[middle + 5000 :]


def _damaged(tmp_path: Path, film: Film, damage: Callable[[bytes], bytes]) -> Path:
    path = make_film(tmp_path / f"film{film.suffix}", film)
    path.write_bytes(damage(path.read_bytes()))
    return path


@pytest.mark.parametrize("name", FILMS)
def test_what_is_garbled_in_the_middle_gives_the_rest_and_a_warning(name: str, run: Run, tmp_path: Path) -> None:
    film = FILMS[name]
    source = _damaged(tmp_path, film, _garble)
    of_sound, of_pictures = GARBLED[name]
    result = run(source, Probe(), *SOUND, *(PICTURES if film.codec else ()))
    _check(result.warnings, {of_sound, of_pictures})
    assert result.summary["loudness"]["integrated_lufs"] > -20
    if film.codec:
        assert film.seconds * 25 * 0.6 < result.summary["shots"]["frames"] <= film.seconds * 25
    # Alone, each says the same of what it reads.
    for operation in SOUND:
        _check(run(source, operation).warnings, [of_sound])
    if film.codec:
        _check(run(source, Shots()).warnings, [of_pictures])


def test_a_picture_sought_in_a_damaged_place_says_so(run: Run, tmp_path: Path) -> None:
    source = _damaged(tmp_path, FILMS["mp4"], _garble)
    whole = run(source, Thumbnails(seconds=(0.5,)))
    assert whole.warnings == ()
    _check(run(source, Thumbnails(seconds=(4.4, 4.9))).warnings, [REFUSED.format("video")])


@pytest.mark.parametrize("name", [name for name in FILMS if name not in ("ts", "ogg", "aac")])
@pytest.mark.parametrize("share", [0.6, 0.05])
def test_what_is_cut_off_fails_whatever_is_asked(name: str, share: float, run: Run, tmp_path: Path) -> None:
    film = FILMS[name]
    source = _damaged(tmp_path, film, lambda data: data[: int(len(data) * share)])
    reasons = set()
    for operation in (Probe(), *SOUND, *(PICTURES if film.codec else ())):
        with pytest.raises(ProcessingFailed) as caught:
            run(source, operation)
        reasons.add((caught.value.reason_code, caught.value.message))
    ((code, message),) = reasons
    assert code in ("truncated", "undecodable", "empty_media")
    assert share < 0.5 or (code == "truncated" and "its content stops at" in message)


@pytest.mark.parametrize("name", ["mkv", "webm", "wav"])
def test_however_little_is_cut_off_where_the_structure_proves_it(name: str, run: Run, tmp_path: Path) -> None:
    source = _damaged(tmp_path, FILMS[name], lambda data: data[: int(len(data) * 0.97)])
    with pytest.raises(ProcessingFailed, match=r"the file was cut off: \d+ bytes are missing") as caught:
        run(source, Probe())
    assert caught.value.reason_code == "truncated"


@pytest.mark.parametrize(
    ("film", "damage"),
    [
        (Film(".wv", None, "wavpack", seconds=20), _behead),
        (Film(".wv", None, "wavpack", seconds=20), lambda data: data[: len(data) * 6 // 10]),
        (Film(".tta", None, "tta", seconds=20), lambda data: data[: len(data) * 6 // 10]),
    ],
    ids=["wv, beheaded", "wv, cut off", "tta, cut off"],
)
def test_half_a_recording_does_not_pass_for_whole(
    film: Film, damage: Callable[[bytes], bytes], run: Run, tmp_path: Path
) -> None:
    source = _damaged(tmp_path, film, damage)
    for operation in (Probe(), Waveform()):
        with pytest.raises(ProcessingFailed, match=r"it declares 20\.0 s but its content stops at \d+\.\d s") as caught:
            run(source, operation)
        assert caught.value.reason_code == "truncated"


def test_half_a_recording_that_states_no_length_says_where_it_ends(run: Run, tmp_path: Path) -> None:
    film = Film(".wv", None, "wavpack", seconds=20)
    source = _damaged(tmp_path, film, lambda data: _behead(data[:12] + b"\xff" * 4 + data[16:]))
    (beyond, *refused) = run(source, Waveform()).warnings
    assert re.fullmatch(r"the file cannot be read beyond 1[23]\.\d s \(.+\)", beyond)
    assert all(REFUSED.format("audio") in warning for warning in refused)


def test_sound_that_turns_up_in_mid_file_breaks_nothing(run: Run, tmp_path: Path) -> None:
    def without_sound(data: bytes) -> bytes:
        return data[:4] + b"\1" + data[5:]  # what the header says there is: pictures

    film = Film(".flv", seconds=8, audio="libmp3lame", rate=44_100, audio_start=7, muxer={"flvflags": "no_metadata"})
    result = run(_damaged(tmp_path, film, without_sound), Probe(), Shots(), Thumbnails(seconds=(1.0, 7.9)))
    assert result.warnings == ()
    assert result.summary["shots"]["frames"] == 200
    assert [stream["type"] for stream in result.summary["probe"]["streams"]] == ["video"]


@pytest.mark.parametrize("name", ["ts", "ogg", "aac"])
def test_what_states_no_length_is_whole_wherever_it_ends(name: str, run: Run, tmp_path: Path) -> None:
    source = _damaged(tmp_path, FILMS[name], lambda data: data[: int(len(data) * 0.6)])
    result = run(source, Probe(), Loudness())
    assert 0.5 * FILMS[name].seconds < result.media_seconds < 0.7 * FILMS[name].seconds


def test_subtitles_that_outlast_the_film_do_not_make_it_truncated(run: Run, tmp_path: Path) -> None:
    result = run(make_annotated(tmp_path / "film.mkv"), Probe(), Thumbnails(count=1))
    assert result.media_seconds == pytest.approx(SUBTITLES_END, abs=0.1)
    assert result.warnings == ()


@pytest.mark.parametrize(
    "film", [Film(), Film(".mov"), Film(".mkv"), Film(".avi", "mpeg4"), Film(".ts"),
             *(Film(suffix, None) for suffix in (".mp3", ".flac", ".ogg", ".wav", ".aac"))],
    ids=lambda film: film.suffix,
)  # fmt: skip
def test_headers_without_packets_are_refused_in_words(film: Film, run: Run, tmp_path: Path) -> None:
    source = make_film(tmp_path / f"film{film.suffix}", Film(film.suffix, film.codec, seconds=0.0))
    for operation in (Probe(), Loudness()):
        with pytest.raises(ProcessingFailed) as caught:
            run(source, operation)
        assert caught.value.reason_code in ("empty_media", "empty_file", "no_media", "undecodable", "no_audio_stream")


def _check(warnings: Sequence[str], expected: Collection[str | None]) -> None:
    """Each of these is warned of once, and what else is said is of the same kind."""
    wanted = [text for text in expected if text]
    for text in wanted:
        assert sum(text in warning for warning in warnings) == 1
    assert bool(warnings) == bool(wanted)
    known = (REFUSED.format("audio"), REFUSED.format("video"), MISSING, SHORT)
    assert all(any(text in warning for text in known) for warning in warnings)
