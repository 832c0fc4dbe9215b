from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import av
import jiwer
import pytest

from local.assets import Assets
from shared.media.audio import SAMPLE_RATE, decode_audio
from shared.media.process import MediaProcessor
from shared.operations import Fingerprint, Shots, Thumbnails, Transcribe
from tests.media import make_audio, make_tone_wav, make_video
from tests.scenes import make_scenes
from tests.unit.media.conftest import Run

TWO_CITIES = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was
the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of darkness, it was
the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us, we were all
going direct to heaven, we were all going direct the other way, in short, the period was so far like the present
period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the superlative
degree of comparison only.
"""


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def _transcript(out: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((out / "transcript.json").read_text())


def test_real_speech_is_understood(run: Run, speech: Path, out: Path) -> None:
    summary = run(speech, Transcribe()).summary["transcribe"]
    assert jiwer.wer(_plain(TWO_CITIES), _plain(summary["text"])) <= 0.01
    assert summary["duration_s"] == pytest.approx(44.37, abs=0.05)
    assert (summary["language"], summary["task"], summary["model"]) == ("en", "transcribe", "tiny.en")
    transcript = _transcript(out)
    words = [word for segment in transcript["segments"] for word in segment["words"]]
    assert len(words) == summary["words"]
    assert _plain(" ".join(word["word"] for word in words)) == _plain(transcript["text"])
    assert _plain((out / "transcript.txt").read_text()) == _plain(transcript["text"])
    assert all(0 <= word["start"] <= word["end"] <= transcript["duration_s"] for word in words)
    assert [word["start"] for word in words] == sorted(word["start"] for word in words)


def test_eight_bits_hear_almost_as_well(assets: Assets, speech: Path, out: Path) -> None:
    processor = MediaProcessor(model=assets.model, weights=assets.weights, device="cpu", compute_type="int8")
    result = processor.process(speech, [Transcribe()], out, explicit=True, report=lambda stage, percent: None)
    assert jiwer.wer(_plain(TWO_CITIES), _plain(result.summary["transcribe"]["text"])) <= 0.065


def test_a_presidents_words_come_out_exactly(run: Run, recording: Callable[[str], Path]) -> None:
    text = run(recording("jfk.flac"), Transcribe(language="en")).summary["transcribe"]["text"]
    assert _plain(text) == _plain(
        "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
    )


@pytest.mark.parametrize("level", [0.0, 0.00001])
def test_silence_makes_whole_but_empty_files(level: float, run: Run, tmp_path: Path, out: Path) -> None:
    summary = run(make_tone_wav(tmp_path / "silence.wav", seconds=3, level=level), Transcribe()).summary["transcribe"]
    assert (summary["text"], summary["segments"]) == ("", 0)
    assert (out / "transcript.txt").read_text() == ""
    assert (out / "transcript.srt").read_text() == ""
    assert (out / "transcript.vtt").read_text() == "WEBVTT\n"


def test_a_tone_is_not_speech(run: Run, tmp_path: Path) -> None:
    assert run(make_tone_wav(tmp_path / "tone.wav", seconds=5), Transcribe()).summary["transcribe"]["text"] == ""


def test_a_silent_track_is_not_a_missing_one(run: Run, tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", seconds=2, silence=True)
    assert run(film, Transcribe()).summary["transcribe"]["text"] == ""


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1"])
def test_any_number_of_channels_is_heard(layout: str, run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_audio(tmp_path / "talk.flac", speech=speech, seconds=3, layout=layout)
    assert "best of times" in run(source, Transcribe()).summary["transcribe"]["text"]


def test_down_mixing_does_not_make_it_louder(speech: Path, tmp_path: Path) -> None:
    mono = decode_audio(make_audio(tmp_path / "1.flac", speech=speech, seconds=3), lambda fraction: None).samples
    stereo = make_audio(tmp_path / "2.flac", speech=speech, seconds=3, layout="stereo")
    both = decode_audio(stereo, lambda fraction: None).samples
    assert abs(both).max() <= abs(mono).max() * 1.05


def test_sound_that_starts_late_keeps_its_place(speech: Path, tmp_path: Path) -> None:
    at_once = decode_audio(make_video(tmp_path / "0.mkv", seconds=6, speech=speech), lambda fraction: None)
    late = make_video(tmp_path / "2.mkv", seconds=6, speech=speech, speech_start=2.0)
    shifted = decode_audio(late, lambda fraction: None)
    assert shifted.seconds - at_once.seconds == pytest.approx(2.0, abs=0.05)
    assert abs(shifted.samples[: int(1.9 * SAMPLE_RATE)]).max() == 0


def test_quiet_speech_is_heard(run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_audio(tmp_path / "talk.flac", speech=speech, seconds=3, gain=0.01)
    assert "best of times" in run(source, Transcribe()).summary["transcribe"]["text"]


def test_words_per_line_is_kept(run: Run, speech: Path, tmp_path: Path, out: Path) -> None:
    run(make_audio(tmp_path / "talk.flac", speech=speech, seconds=6), Transcribe(words_per_line=3))
    lines = [line for line in (out / "transcript.srt").read_text().splitlines() if line and "-->" not in line]
    assert max(len(line.split()) for line in lines) == 3


def _with_sound(pictures: Path, sound: Path, path: Path) -> Path:
    with av.open(pictures) as seen, av.open(sound) as heard, av.open(path, "w") as film:
        packets = [packet for source in (seen, heard) for packet in source.demux() if packet.dts is not None]
        streams = {stream: film.add_stream_from_template(stream) for stream in (*seen.streams, *heard.streams)}
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = streams[packet.stream]
            film.mux(packet)
    return path


def test_no_subtitle_goes_across_a_cut_that_is_known(run: Run, speech: Path, tmp_path: Path, out: Path) -> None:
    film = _with_sound(
        make_scenes(tmp_path / "scenes.mkv", [40, 90, 140], frames=200),
        make_audio(tmp_path / "talk.m4a", speech=speech, seconds=8),
        tmp_path / "film.mkv",
    )
    run(film, Transcribe(), Shots())
    cuts = json.loads((out / "shots.json").read_text())["cuts"]
    assert len(cuts) == 3

    def crossed() -> list[float]:
        times = re.findall(r"00:00:(\S+) --> 00:00:(\S+)", (out / "transcript.vtt").read_text())
        cues = [(float(start) + 0.002, float(end) - 0.002) for start, end in times]
        return [cut for cut in cuts if any(start < cut < end for start, end in cues)]

    assert crossed() == []
    for known_by in (Thumbnails(per="shot"), Fingerprint()):
        run(film, Transcribe(), known_by)
        assert crossed() == []
    run(film, Transcribe())
    assert crossed() != []
