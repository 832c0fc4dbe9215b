from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.errors import ProcessingFailed
from shared.operations import Operation, Probe, Thumbnails, Transcribe, Translate
from tests.media import make_audio, make_tone_wav, make_video, truncate
from tests.unit.media.conftest import Run


def _refusal(run: Run, source: Path, *operations: Operation, explicit: bool = True) -> ProcessingFailed:
    with pytest.raises(ProcessingFailed) as caught:
        run(source, *operations, explicit=explicit)
    return caught.value


@pytest.mark.parametrize("operation", [Probe(), Transcribe(), Thumbnails()], ids=lambda operation: operation.name)
def test_a_truncated_film_is_never_a_success(operation: Operation, run: Run, speech: Path, tmp_path: Path) -> None:
    source = truncate(make_video(tmp_path / "film.mp4", seconds=20, speech=speech), 0.6)
    error = _refusal(run, source, operation)
    assert error.reason_code == "truncated"
    assert re.match(r"the file is truncated: it declares 20\.\d s but its content stops at 1\d\.\d s \(", error.message)
    assert "bytes are missing" in error.message


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mov"])
def test_a_truncated_film_of_any_kind_is_noticed(suffix: str, run: Run, speech: Path, tmp_path: Path) -> None:
    source = truncate(make_video(tmp_path / f"film{suffix}", seconds=20, speech=speech), 0.6)
    assert _refusal(run, source, Probe()).reason_code == "truncated"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".aiff"])
def test_a_truncated_recording_is_noticed(suffix: str, run: Run, speech: Path, tmp_path: Path) -> None:
    source = truncate(make_audio(tmp_path / f"talk{suffix}", speech=speech, seconds=20), 0.6)
    assert _refusal(run, source, Probe()).reason_code == "truncated"


def test_a_byte_rate_that_an_encoder_guessed_proves_nothing(run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_audio(tmp_path / "talk.wav", speech=speech, seconds=8, codec="adpcm_ima_wav")
    assert run(source, Probe()).media_seconds == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("fraction", [0.97, 0.5, 0.1])
def test_however_little_is_missing_of_an_mp4_it_is_noticed(
    fraction: float, run: Run, speech: Path, tmp_path: Path
) -> None:
    source = truncate(make_video(tmp_path / "film.mp4", seconds=44, speech=speech, fps=5), fraction)
    assert _refusal(run, source, Probe()).reason_code == "truncated"


def test_a_film_without_its_index_says_so(run: Run, speech: Path, tmp_path: Path) -> None:
    source = truncate(make_video(tmp_path / "film.mp4", seconds=3, speech=speech, faststart=False), 0.7)
    error = _refusal(run, source, Probe())
    assert error.reason_code == "undecodable"
    assert "moov atom not found" in error.message


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty_file", "the file is empty (0 bytes)"),
        (b"this is not a film\n" * 50, "undecodable", "the file is text, not media"),
        (bytes(range(256)) * 400, "undecodable", "opening the file failed: Invalid data found"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n", "undecodable", "is a playlist"),
        (b"ffconcat version 1.0\nfile film.mp4\n", "undecodable", "the file is text, not media"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", "undecodable", "the file is text, not media"),
    ],
    ids=["empty", "text", "noise", "playlist", "concat", "subtitles"],
)
def test_what_is_no_media_is_refused_in_words(content: bytes, code: str, words: str, run: Run, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    source.write_bytes(content)
    error = _refusal(run, source, Probe())
    assert error.reason_code == code
    assert words in error.message


def test_headers_without_content_are_refused(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "talk.wav"
    source.write_bytes(make_tone_wav(tmp_path / "tone.wav").read_bytes()[:44].replace(b"data", b"junk"))
    assert isinstance(_refusal(run, source, Probe()), ProcessingFailed)


def test_a_recording_streamed_to_a_pipe_is_whole(run: Run, speech: Path, tmp_path: Path) -> None:
    whole = make_audio(tmp_path / "talk.wav", speech=speech, seconds=3).read_bytes()
    at = whole.index(b"data") + 4
    source = tmp_path / "streamed.wav"
    source.write_bytes(whole[:4] + b"\xff" * 4 + whole[8:at] + b"\xff" * 4 + whole[at + 4 :])
    result = run(source, Probe(), Transcribe())
    assert "best of times" in result.summary["transcribe"]["text"]
    assert result.media_seconds == pytest.approx(3, abs=0.1)


def test_sound_shorter_than_its_pictures_is_whole(run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=60, fps=2, speech=speech)  # the speech ends at 44.4 s
    assert run(source, Probe()).media_seconds == pytest.approx(60, abs=0.1)


def test_a_little_damage_is_a_warning_and_much_is_a_failure(run: Run, speech: Path, tmp_path: Path) -> None:
    data = make_audio(tmp_path / "talk.m4a", speech=speech, seconds=12).read_bytes()
    source = tmp_path / "damaged.m4a"
    middle = len(data) // 2
    source.write_bytes(data[:middle] + bytes(600) + data[middle + 600 :])
    result = run(source, Transcribe())
    assert "worst of times" in result.summary["transcribe"]["text"]
    assert any("damaged audio packets" in warning for warning in result.warnings)
    source.write_bytes(data[:20_000] + b"\xff" * (len(data) // 2) + data[20_000 + len(data) // 2 :])
    error = _refusal(run, source, Transcribe())
    assert re.match(r"decoding the audio failed: .+ \(\d+ of \d+ packets\)$", error.message)


@pytest.mark.parametrize(
    ("operation", "code"),
    [(Transcribe(), "no_audio_stream"), (Thumbnails(), "no_video_stream")],
    ids=["sound", "picture"],
)
def test_an_operation_asked_for_by_name_must_be_possible(
    operation: Operation, code: str, run: Run, speech: Path, tmp_path: Path
) -> None:
    source = (
        make_video(tmp_path / "silent.mp4", seconds=1)
        if operation.name == "transcribe"
        else make_audio(tmp_path / "talk.mp3", speech=speech, seconds=1)
    )
    assert _refusal(run, source, Probe(), operation).reason_code == code
    assert _refusal(run, source, operation, explicit=False).reason_code == code  # nothing is left to do
    result = run(source, Probe(), operation, explicit=False)
    assert list(result.summary[operation.name]) == ["skipped"]
    assert result.warnings[0].startswith(f"{operation.name} was left out: the file has no ")
    assert "streams" in result.summary["probe"]


@pytest.mark.parametrize(
    "operation",
    [Transcribe(language="de"), Translate(), Transcribe(language="xx")],
    ids=["german", "translation", "unknown"],
)
def test_what_an_english_model_cannot_do_is_refused(
    operation: Operation, run: Run, speech: Path, tmp_path: Path
) -> None:
    source = make_audio(tmp_path / "talk.mp3", speech=speech, seconds=1)
    error = _refusal(run, source, operation)
    assert error.reason_code == "language_unsupported"
    assert "English only" in error.message
