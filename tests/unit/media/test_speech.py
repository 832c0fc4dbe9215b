from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from shared.errors import ProcessingFailed
from shared.media.process import MediaProcessor
from shared.media.silences import SilenceFinder
from shared.operations import Speech
from tests.media import make_audio, make_tone_wav, make_video
from tests.tones import make_tones, tones
from tests.unit.media.conftest import Run


@pytest.fixture
def document(out: Path) -> Any:
    def read() -> dict[str, Any]:
        return json.loads((out / "speech.json").read_text())

    return read


def times(rows: list[dict[str, float]]) -> list[tuple[float, float]]:
    return [(row["start"], row["end"]) for row in rows]


def by_ffmpeg(source: Path, noise_db: float, seconds: float) -> list[tuple[float, float]]:
    if (ffmpeg := shutil.which("ffmpeg")) is None:
        pytest.skip("no ffmpeg command to compare with")
    detect = f"silencedetect=noise={noise_db}dB:duration={seconds}"
    command = [ffmpeg, "-hide_banner", "-nostats", "-i", source, "-vn", "-af", detect, "-f", "null", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    starts, ends = (re.findall(rf"silence_{which}: ([-\d.]+)", said) for which in ("start", "end"))
    return [(float(start), float(end)) for start, end in zip(starts, ends, strict=True)]


def test_speech_and_pauses_share_the_recording(run: Run, speech: Path, document: Any) -> None:
    summary = run(speech, Speech(silence_seconds=0.5)).summary["speech"]
    found = document()
    assert summary["segments"] == len(found["segments"]) == 16
    assert summary["speech_ratio"] == pytest.approx(0.79, abs=0.02)
    assert found["speech_s"] == pytest.approx(sum(row["duration"] for row in found["segments"]), abs=0.01)
    assert times(found["pauses"])[0] == (0.0, found["segments"][0]["start"])
    assert all(row["duration"] >= 0.5 for row in found["pauses"])
    edges = sorted(times(found["segments"]) + times(found["pauses"]))
    assert all(one[1] <= following[0] for one, following in pairwise(edges))


@pytest.mark.parametrize("name", ["talk.wav", "talk.m4a", "talk.flac"])
@pytest.mark.parametrize("layout", ["mono", "5.1"])
def test_silences_are_those_of_ffmpeg(
    name: str, layout: str, run: Run, speech: Path, tmp_path: Path, document: Any
) -> None:
    source = make_audio(tmp_path / name, speech=speech, seconds=12, layout=layout)
    theirs = by_ffmpeg(source, -35.0, 0.3)
    run(source, Speech(noise_db=-35, silence_seconds=0.3))
    assert len(theirs) >= 5
    assert times(document()["silences"]) == [pytest.approx(each, abs=0.002) for each in theirs]


def test_silences_of_known_tones(run: Run, tmp_path: Path, document: Any) -> None:
    """A second at the start, a gap that is too short, a whisper, and an end that nothing ends."""
    parts = [(1, -90.0), (1, -10.0), (0.4, -90.0), (1, -10.0), (2, -45.0), (1, -10.0), (1.5, -90.0)]
    source = make_tones(tmp_path / "tones.wav", parts)
    run(source, Speech(noise_db=-40, silence_seconds=0.5))
    assert times(document()["silences"]) == [
        pytest.approx(each, abs=0.002) for each in [(0, 1), (3.4, 5.4), (6.4, 7.9)]
    ]
    run(source, Speech(noise_db=-50, silence_seconds=0.3))
    assert times(document()["silences"]) == [pytest.approx(each, abs=0.002) for each in [(0, 1), (2, 2.4), (6.4, 7.9)]]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        (".wav", "pcm_s16le", 8000),
        (".flac", "flac", 8000),
        (".flac", "flac", 44_100),
        (".wv", "wavpack", 8000),
        (".wv", "wavpack", 44_100),
        (".tta", "tta", 44_100),
        (".m4a", "alac", 8000),
    ],
)
def test_short_silences_are_found_however_long_the_frames_of_a_codec(
    suffix: str, codec: str, rate: int, run: Run, tmp_path: Path, document: Any
) -> None:
    gaps = 10
    parts = [(1.0, -10.0), *[(0.12, -90.0), (0.05, -10.0)] * gaps, (1.0, -10.0)]
    source = tmp_path / f"tones{suffix}"
    with av.open(source, "w") as recording:
        stream = recording.add_stream(codec, rate=rate, layout="mono")
        for frame in tones(parts, layout="mono", rate=rate):
            recording.mux(stream.encode(frame))
        recording.mux(stream.encode(None))
    run(source, Speech(noise_db=-30, silence_seconds=0.1))
    begins = [1 + gap * 0.17 for gap in range(gaps)]
    # A sine is quiet for a moment before and after.
    assert times(document()["silences"]) == [pytest.approx((at, at + 0.12), abs=0.002) for at in begins]


def test_times_are_exact_to_the_millisecond_after_hours() -> None:
    """silencedetect of older FFmpeg says six digits in all: a tenth of a second after three hours."""
    finder = SilenceFinder(-30.0, 0.5)
    rate = 8000
    loud, silent = (np.full((1, rate), level, np.int16) for level in (20_000, 0))
    for number in range(11_000):
        frame = av.AudioFrame.from_ndarray(silent if number in (10_800, 10_900) else loud, format="s16", layout="mono")
        frame.sample_rate = rate
        finder.add(frame)
    finder.finish()
    assert [(span.start, span.end) for span in finder.silences] == [
        pytest.approx(each, abs=0.001) for each in [(10_800, 10_801), (10_900, 10_901)]
    ]


def test_speech_stands_on_the_files_own_time_line(run: Run, speech: Path, tmp_path: Path, document: Any) -> None:
    run(make_audio(tmp_path / "talk.wav", speech=speech, seconds=6), Speech(silence_seconds=0.5))
    on_time = document()
    run(make_video(tmp_path / "late.mkv", seconds=6, speech=speech, speech_start=2.0), Speech(silence_seconds=0.5))
    late = document()
    for kind in ("segments", "silences"):
        starts = [row["start"] for row in on_time[kind] if row["start"] > 0]
        assert [row["start"] - 2 for row in late[kind] if row["start"] > 0] == pytest.approx(starts, abs=0.05)
    assert late["pauses"][0]["start"] == late["silences"][0]["start"] == 0
    assert late["silences"][0]["end"] == pytest.approx(on_time["silences"][0]["end"] + 2, abs=0.05)


def test_sound_that_changes_its_format_is_listened_to_as_one() -> None:
    finder = SilenceFinder(-40.0, 0.5)
    for frame in [*tones([(2, -10.0), (1, -90.0)]), *tones([(1, -90.0), (1, -10.0)], rate=44_100, layout="mono")]:
        frame.pts = None
        finder.add(frame)
    finder.finish()
    assert [(span.start, span.end) for span in finder.silences] == [pytest.approx((2, 4), abs=0.002)]


def test_quiet_speech_is_speech(run: Run, speech: Path, tmp_path: Path, document: Any) -> None:
    run(make_audio(tmp_path / "loud.wav", speech=speech, seconds=15), Speech())
    loud = times(document()["segments"])
    run(make_audio(tmp_path / "quiet.wav", speech=speech, seconds=15, gain=0.01), Speech())
    quiet = document()
    assert times(quiet["segments"])[0] == pytest.approx(loud[0], abs=0.1)
    assert sum(end - start for start, end in times(quiet["segments"])) == pytest.approx(
        sum(end - start for start, end in loud), rel=0.05
    )
    assert times(quiet["silences"]) == [(0.0, pytest.approx(15.0, abs=0.05))]


def test_silence_has_no_speech_and_asks_no_model(tmp_path: Path, out: Path, document: Any) -> None:
    source = make_tone_wav(tmp_path / "silence.wav", seconds=3.0, level=0.0)
    without = MediaProcessor(model=tmp_path, device="cpu")
    result = without.process(source, [Speech()], out, explicit=True, report=lambda stage, percent: None)
    assert result.summary["speech"] == {
        "duration_s": 3.0, "speech_s": 0, "speech_ratio": 0.0, "segments": 0, "pauses": 1, "silences": 1
    }  # fmt: skip
    assert times(document()["pauses"]) == times(document()["silences"]) == [(0.0, 3.0)]


def test_music_is_no_speech(run: Run, tmp_path: Path, document: Any) -> None:
    run(make_tones(tmp_path / "tone.wav", [(5, -10.0)], hertz=440.0), Speech())
    found = document()
    assert (found["segments"], found["silences"]) == ([], [])
    assert times(found["pauses"]) == [(0.0, 5.0)]


def test_a_film_without_sound_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ProcessingFailed) as raised:
        run(make_video(tmp_path / "mute.mp4", seconds=1, size=(160, 90)), Speech())
    assert raised.value.reason_code == "no_audio_stream"
