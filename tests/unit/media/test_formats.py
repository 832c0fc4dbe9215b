from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.media.process import MediaProcessor
from shared.operations import Probe, Thumbnails, Transcribe
from tests.media import make_audio, make_video
from tests.unit.media.conftest import Run

SECONDS = 3.0
TRANSCRIPTS = {"transcript.json", "transcript.txt", "transcript.srt", "transcript.vtt"}


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [
        (".mp4", "mov,mp4,m4a,3gp,3g2,mj2", "libx264"),
        (".mov", "mov,mp4,m4a,3gp,3g2,mj2", "libx264"),
        (".mkv", "matroska,webm", "libx264"),
        (".webm", "matroska,webm", "libvpx"),
        (".avi", "avi", "mpeg4"),
        (".ts", "mpegts", "libx264"),
    ],
)
def test_every_video_format_is_probed_transcribed_and_pictured(
    suffix: str, container: str, codec: str, run: Run, speech: Path, tmp_path: Path, out: Path
) -> None:
    source = make_video(tmp_path / f"film{suffix}", seconds=SECONDS, codec=codec, speech=speech)
    result = run(source, Probe(), Transcribe(), Thumbnails(count=2))
    names = {artifact.name for artifact in result.artifacts}
    assert names == TRANSCRIPTS | {"probe.json", "result.json", "thumbnails/0001.jpg", "thumbnails/0002.jpg"}
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == names
    assert result.summary["probe"]["container"] == container
    assert result.summary["probe"]["kind"] == "video"
    assert "best of times" in result.summary["transcribe"]["text"]
    assert result.summary["thumbnails"]["count"] == 2
    assert result.media_seconds == pytest.approx(SECONDS, abs=0.2)
    assert result.warnings == ()
    assert result.device == "cpu"
    assert json.loads((out / "result.json").read_text())["summary"] == result.summary


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".wav", ".aiff"])
def test_every_audio_format_is_transcribed(suffix: str, run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_audio(tmp_path / f"talk{suffix}", speech=speech, seconds=SECONDS)
    result = run(source, Probe(), Transcribe())
    assert result.summary["probe"]["kind"] == "audio"
    assert "best of times" in result.summary["transcribe"]["text"]
    assert result.media_seconds == pytest.approx(SECONDS, abs=0.2)


@pytest.mark.parametrize("name", ["film.mp4", "film.txt", "film"])
def test_the_content_decides_and_not_the_name(name: str, run: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "film.mkv", seconds=1).rename(tmp_path / name)
    assert run(source, Probe()).summary["probe"]["container"] == "matroska,webm"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_picture_has_one_thumbnail_and_no_length(suffix: str, run: Run, tmp_path: Path) -> None:
    from PIL import Image

    source = tmp_path / f"picture{suffix}"
    Image.new("RGB", (400, 300), "red").save(source)
    result = run(source, Probe(), Thumbnails(count=3, width=200))
    assert result.summary["probe"]["kind"] == "image"
    assert result.media_seconds is None
    assert [result.summary["thumbnails"][key] for key in ("count", "width", "height")] == [1, 200, 150]


@pytest.mark.parametrize("suffix", [".mp3", ".flac"])
def test_cover_art_is_not_a_video(suffix: str, run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_audio(tmp_path / f"song{suffix}", speech=speech, seconds=1, cover=True)
    result = run(source, Probe(), Thumbnails(), explicit=False)
    assert result.summary["probe"]["kind"] == "audio"
    assert [stream["attached_pic"] for stream in result.summary["probe"]["streams"]] == [False, True]
    assert result.summary["thumbnails"] == {"skipped": "the file has no video stream"}


def test_the_best_streams_are_chosen(run: Run, recording, out: Path) -> None:  # type: ignore[no-untyped-def]
    result = run(recording("nasa_13013.mp4"), Probe(), Transcribe(), Thumbnails(count=1))
    assert [stream["type"] for stream in result.summary["probe"]["streams"]] == ["video", "audio", "subtitle"] * 2
    assert (result.summary["thumbnails"]["width"], result.summary["thumbnails"]["height"]) == (480, 270)
    assert "Goddard Space Flight Center" in result.summary["transcribe"]["text"]


def test_progress_covers_the_whole_job_and_never_goes_back(
    processor: MediaProcessor, speech: Path, tmp_path: Path, out: Path
) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=SECONDS, speech=speech)
    seen: list[tuple[str, float]] = []
    operations = [Probe(), Transcribe(), Thumbnails()]
    processor.process(source, operations, out, explicit=True, report=lambda *report: seen.append(report))
    assert list(dict.fromkeys(stage for stage, _ in seen)) == ["check", "probe", "decode", "thumbnails", "transcribe"]
    percents = [percent for _, percent in seen]
    assert percents == sorted(percents)
    assert percents[0] >= 0
    assert percents[-1] <= 100


@pytest.mark.parametrize("stage", ["check", "probe", "decode", "thumbnails", "transcribe"])
def test_what_report_raises_ends_the_work_unchanged(
    stage: str, processor: MediaProcessor, speech: Path, tmp_path: Path, out: Path
) -> None:
    class LeaseLostError(Exception):
        pass

    lost = LeaseLostError()

    def report(now: str, _percent: float) -> None:
        if now == stage:
            raise lost

    source = make_video(tmp_path / "film.mp4", seconds=1, speech=speech)
    with pytest.raises(LeaseLostError) as caught:
        processor.process(source, [Probe(), Transcribe(), Thumbnails()], out, explicit=True, report=report)
    assert caught.value is lost
    assert not (out / "result.json").exists()
