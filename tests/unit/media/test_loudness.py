from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.media.artifacts import ArtifactFolder
from shared.media.loudness import LoudnessMeter
from shared.operations import Loudness
from tests.media import make_audio, make_tone_wav, make_video
from tests.tones import make_tones, tones
from tests.unit.media.conftest import Run


@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        ([(20, -23.0)], -23.0),
        ([(20, -33.0)], -33.0),
        ([(10, -36.0), (60, -23.0), (10, -36.0)], -23.0),
        ([(10, -72.0), (10, -36.0), (60, -23.0), (10, -36.0), (10, -72.0)], -23.0),
        ([(20, -26.0), (20.1, -20.0), (20, -26.0)], -23.0),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5"],
)
def test_integrated_loudness_meets_ebu_tech_3341(
    parts: list[tuple[float, float]], lufs: float, run: Run, tmp_path: Path
) -> None:
    summary = run(make_tones(tmp_path / "tones.wav", parts), Loudness()).summary["loudness"]
    assert summary["integrated_lufs"] == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize(
    ("parts", "range_lu"),
    [([(20, -20.0), (20, -30.0)], 10), ([(20, -20.0), (20, -15.0)], 5), ([(20, -40.0), (20, -20.0)], 20)],
    ids=["case 1", "case 2", "case 3"],
)
def test_loudness_range_meets_ebu_tech_3342(
    parts: list[tuple[float, float]], range_lu: float, run: Run, tmp_path: Path
) -> None:
    summary = run(make_tones(tmp_path / "tones.wav", parts), Loudness()).summary["loudness"]
    assert summary["range_lu"] == pytest.approx(range_lu, abs=1)


@pytest.mark.parametrize("phase", [0.0, 45.0], ids=["case 15", "case 16"])
def test_true_peak_is_found_between_the_samples(phase: float, run: Run, tmp_path: Path) -> None:
    source = make_tones(tmp_path / "tone.wav", [(3, -6.0)], hertz=12_000, phase_degrees=phase, fade_seconds=0.5)
    peak = run(source, Loudness()).summary["loudness"]["true_peak_dbtp"]
    assert -6.4 <= peak <= -5.8


@pytest.mark.parametrize("layout", ["mono", "5.1"])
def test_agrees_with_ffmpeg_on_speech(layout: str, run: Run, speech: Path, tmp_path: Path) -> None:
    if (ffmpeg := shutil.which("ffmpeg")) is None:
        pytest.skip("no ffmpeg command to compare with")
    source = make_audio(tmp_path / "talk.m4a", speech=speech, seconds=20, layout=layout)
    command = [ffmpeg, "-hide_banner", "-nostats", "-i", source, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr.rpartition("Summary:")[2]
    theirs = {name: float(value) for name, value in re.findall(r"^\s+(I|LRA|Peak):\s+(\S+)", said, re.MULTILINE)}
    ours = run(source, Loudness()).summary["loudness"]
    assert ours["integrated_lufs"] == pytest.approx(theirs["I"], abs=0.1)
    assert ours["range_lu"] == pytest.approx(theirs["LRA"], abs=0.1)
    assert ours["true_peak_dbtp"] == pytest.approx(theirs["Peak"], abs=0.1)


def test_the_curve_stands_on_the_files_own_time_line(run: Run, speech: Path, tmp_path: Path, out: Path) -> None:
    run(make_video(tmp_path / "late.mkv", seconds=6, speech=speech, speech_start=2.0), Loudness())
    momentary = json.loads((out / "loudness.json").read_text())["momentary"]
    assert (momentary["step_s"], momentary["window_s"]) == (0.1, 0.4)
    assert max(momentary["lufs"][:18]) < -70
    assert max(momentary["lufs"][20:40]) > -50
    assert len(momentary["lufs"]) == pytest.approx(80, abs=2)


@pytest.mark.parametrize("seconds", [3.0, 0.05])
def test_silence_has_no_loudness(seconds: float, run: Run, tmp_path: Path, out: Path) -> None:
    run(make_tone_wav(tmp_path / "silence.wav", seconds=seconds, level=0.0), Loudness())
    document = json.loads((out / "loudness.json").read_text())
    assert [document[key] for key in ("integrated_lufs", "range_lu", "true_peak_dbtp")] == [None, None, None]


def test_a_moment_has_a_loudness_and_no_range(run: Run, tmp_path: Path) -> None:
    summary = run(make_tones(tmp_path / "tone.wav", [(3.1, -23.0)]), Loudness()).summary["loudness"]
    assert summary["integrated_lufs"] == pytest.approx(-23.0, abs=0.1)
    assert summary["range_lu"] is None


def test_sound_that_changes_its_format_is_measured_as_one(out: Path) -> None:
    meter = LoudnessMeter(ArtifactFolder(out))
    for frame in [*tones([(10, -20.0)]), *tones([(10, -20.0)], rate=44_100)]:
        frame.pts = None
        meter.add(frame)
    meter.finish()
    assert meter.write()["integrated_lufs"] == pytest.approx(-20.0, abs=0.1)
    assert len(json.loads((out / "loudness.json").read_text())["momentary"]["lufs"]) == pytest.approx(200, abs=1)


@pytest.mark.parametrize("rate", [48_000, 22_050, 8_000])
def test_a_peak_in_the_last_moment_counts(rate: int, run: Run, tmp_path: Path, out: Path) -> None:
    quiet = run(make_tones(tmp_path / "quiet.wav", [(4.0, -40.0)], rate=rate), Loudness()).summary["loudness"]
    curve = json.loads((out / "loudness.json").read_text())["momentary"]
    loud = make_tones(tmp_path / "loud.wav", [(4.04, -40.0), (0.05, -0.9)], rate=rate)
    with_peak = run(loud, Loudness()).summary["loudness"]
    assert with_peak["true_peak_dbtp"] == pytest.approx(-0.9, abs=0.3)
    assert {**with_peak, "true_peak_dbtp": None} == {**quiet, "true_peak_dbtp": None}
    assert json.loads((out / "loudness.json").read_text())["momentary"] == curve


def test_what_is_too_loud_to_be_measured_is_so_in_the_last_moment_too(out: Path) -> None:
    meter = LoudnessMeter(ArtifactFolder(out))
    for frame in tones([(1.0, -20.0), (0.05, 140.0)]):
        frame.pts = None
        meter.add(frame)
    meter.finish()
    assert meter.write()["integrated_lufs"] is None
    assert "louder" in meter.warnings[0]


def test_what_is_shorter_than_a_step_has_a_peak_and_nothing_to_warn_of(run: Run, tmp_path: Path) -> None:
    result = run(make_tones(tmp_path / "click.wav", [(0.05, -6.0)]), Loudness())
    assert result.warnings == ()
    assert result.summary["loudness"]["true_peak_dbtp"] == pytest.approx(-6.0, abs=0.3)
    assert result.summary["loudness"]["integrated_lufs"] is None


def test_no_sound_at_all_is_not_too_loud(out: Path) -> None:
    meter = LoudnessMeter(ArtifactFolder(out))
    meter.finish()
    assert set(meter.write().values()) == {None}
    assert meter.warnings == ()
