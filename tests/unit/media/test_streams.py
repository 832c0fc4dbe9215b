"""Of several streams, those are used that ffmpeg would choose by itself; pictures on a cover are no film."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from shared.errors import ProcessingFailed
from shared.media import contact_facts
from shared.media.process import MediaProcessor
from shared.operations import Loudness, Probe, Thumbnails, Waveform
from tests.films import Film, make_film
from tests.media import make_audio
from tests.unit.media.conftest import Run

DEFAULT, NONE = Disposition.default, Disposition(0)


@dataclass(frozen=True)
class Choice:
    """Streams as (size, disposition) and (layout, disposition), and the indexes of those that are used."""

    videos: Sequence[tuple[tuple[int, int], Disposition]]
    audios: Sequence[tuple[str, Disposition]]
    video: int | None
    audio: int | None


CHOICES = {
    "largest": Choice([((160, 90), NONE), ((320, 180), NONE), ((240, 136), NONE)], [], 1, None),
    "first of equals": Choice([((160, 90), NONE)] * 2, [("stereo", NONE)] * 2, 0, 2),
    "default before larger": Choice([((320, 180), NONE), ((160, 90), DEFAULT)], [], 1, None),
    "much larger before default": Choice([((160, 90), DEFAULT), ((2560, 1968), NONE)], [], 1, None),
    "most channels": Choice([], [("mono", NONE), ("5.1", NONE), ("stereo", NONE)], None, 1),
    "default before more channels": Choice([], [("5.1", NONE), ("mono", DEFAULT)], None, 1),
    "all default": Choice([((160, 90), DEFAULT), ((320, 180), DEFAULT)], [("mono", DEFAULT), ("5.1", DEFAULT)], 1, 3),
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_those_are_used_that_ffmpeg_chooses(choice: Choice, run: Run, tmp_path: Path) -> None:
    source = _make(tmp_path / "film.mkv", choice)
    listening = [Loudness(), Waveform()] if choice.audios else []
    watching = [Thumbnails(seconds=(0.0,), width=3840)] if choice.videos else []
    result = run(source, Probe(), *listening, *watching)
    assert result.summary["probe"]["best_streams"] == {"video": choice.video, "audio": choice.audio}
    if choice.video is not None:
        thumbnails = result.summary["thumbnails"]
        assert (thumbnails["width"], thumbnails["height"]) == choice.videos[choice.video][0]
        assert "{} × {}".format(*choice.videos[choice.video][0]) in contact_facts.kind(result.summary["probe"])
    if (ffmpeg := shutil.which("ffmpeg")) is not None:
        command = [ffmpeg, "-hide_banner", "-i", source, "-t", "0.1", "-f", "null", "-"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        chosen = {int(index) for index in re.findall(r"^  Stream #0:(\d+) -> ", said, re.MULTILINE)}
        assert chosen == {choice.video, choice.audio} - {None}


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".mp4"])
def test_a_cover_is_named_and_not_watched(suffix: str, run: Run, speech: Path, tmp_path: Path) -> None:
    source = make_audio(tmp_path / f"song{suffix}", speech=speech, seconds=2, cover=True)
    result = run(source, Probe(), Loudness(), Waveform(), Thumbnails(), explicit=False)
    assert result.summary["thumbnails"] == {"skipped": "the file has no video stream"}
    assert result.summary["probe"]["kind"] == "audio"
    assert result.summary["probe"]["best_streams"] == {"video": None, "audio": 0}
    cover = result.summary["probe"]["streams"][1]
    names = ("type", "codec", "attached_pic", "dispositions", "width", "height", "decodable")
    assert [cover[name] for name in names] == ["video", "mjpeg", True, ["attached_pic"], 64, 64, True]
    assert result.summary["loudness"]["integrated_lufs"] is not None
    assert result.media_seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_track_of_sound_without_sound_is_none(suffix: str, run: Run, tmp_path: Path) -> None:
    source = _make_silent(tmp_path / f"film{suffix}")
    result = run(source, Probe(), Loudness(), Thumbnails(count=2), explicit=False)
    assert result.summary["loudness"] == {"skipped": "the file has no audio stream"}
    assert result.warnings == ("loudness was left out: the file has no audio stream",)
    assert result.summary["thumbnails"]["count"] == 2
    assert run(source, Thumbnails(count=2)).warnings == ()
    with pytest.raises(ProcessingFailed) as caught:
        run(source, Loudness())
    assert caught.value.reason_code == "no_audio_stream"


def test_behind_a_track_without_sound_the_next_is_heard(run: Run, speech: Path, tmp_path: Path) -> None:
    """As ffmpeg does, which looks at packets before it chooses."""
    source = _make_silent(tmp_path / "film.mkv", speech)
    result = run(source, Probe(), Loudness())
    assert result.summary["probe"]["best_streams"] == {"video": 0, "audio": 2}
    assert result.summary["loudness"] == run(source, Loudness(stream=1)).summary["loudness"]
    with pytest.raises(ProcessingFailed) as caught:
        run(source, Loudness(stream=0))
    assert caught.value.reason_code == "no_audio_stream"


@pytest.mark.parametrize("film", [Film(seconds=2), Film(".webm", "libvpx", seconds=2, muxer={"live": "1"})])
def test_who_admits_a_file_knows_its_length_even_where_it_states_none(
    film: Film, processor: MediaProcessor, tmp_path: Path, out: Path
) -> None:
    admitted: list[float | None] = []
    source = make_film(tmp_path / f"film{film.suffix}", film)
    processor.process(source, [Probe()], out, explicit=True, report=lambda stage, percent: None, admit=admitted.append)
    assert admitted == [pytest.approx(2, abs=0.1)]


def _make_silent(path: Path, speech: Path | None = None) -> Path:
    """A film that announces sound and brings none, as a recorder whose microphone is off makes it; or in track two."""
    options = {".mp4": {"movflags": "empty_moov+frag_keyframe"}, ".webm": {"live": "1"}}
    codecs = ("libvpx", "libopus") if path.suffix == ".webm" else ("mpeg4", "aac")
    with av.open(path, "w", format={".mkv": "matroska"}.get(path.suffix), options=options.get(path.suffix, {})) as film:
        pictures = film.add_stream(codecs[0], rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 160, 90, "yuv420p"
        film.add_stream(codecs[1], rate=48_000, layout="stereo")
        if speech:
            heard = film.add_stream(codecs[1], rate=48_000, layout="stereo")
            with av.open(speech) as recording:
                for frame in recording.decode(audio=0):
                    film.mux(heard.encode(frame))
            film.mux(heard.encode(None))
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((90, 160), index * 4, np.uint8), format="gray")
            film.mux(pictures.encode(frame.reformat(format="yuv420p")))
        film.mux(pictures.encode(None))
    return path


def _make(path: Path, choice: Choice) -> Path:
    with av.open(path, "w", format="matroska") as film:
        videos, audios = [], []
        for (width, height), disposition in choice.videos:
            stream = film.add_stream("mjpeg", rate=2)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
            stream.disposition = disposition
            videos.append(stream)
        for layout, disposition in choice.audios:
            audio = film.add_stream("pcm_s16le", rate=8000, layout=layout)
            audio.disposition = disposition
            audios.append(audio)
        for stream in videos:
            grey = av.VideoFrame.from_ndarray(np.full((stream.height, stream.width), 128, np.uint8), format="gray")
            picture = grey.reformat(format="yuvj420p")
            for index in range(2):
                picture.pts, picture.time_base = index, Fraction(1, 2)
                film.mux(stream.encode(picture))
        for audio in audios:
            noise = np.random.default_rng(0).integers(-9999, 9999, (1, 8000 * audio.channels), np.int16)
            sound = av.AudioFrame.from_ndarray(noise, format="s16", layout=audio.layout.name)
            sound.sample_rate, sound.pts, sound.time_base = 8000, 0, Fraction(1, 8000)
            film.mux(audio.encode(sound))
    return path
