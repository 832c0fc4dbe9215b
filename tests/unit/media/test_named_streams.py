"""An operation may name its stream; one pass decodes each named stream once."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from shared.errors import ProcessingFailed
from shared.operations import Loudness, Operation, Shots, Speech, Storyboard, Thumbnails, Transcribe, Waveform
from tests.media import SAMPLE_RATE
from tests.unit.media.conftest import Run

#: Peak of full scale, by audio stream; light, by video stream.
LEVELS = (0.5, 0.05)
LIGHTS = (200, 60)
SECONDS = 4


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plain pictures of the same size, two tones of the same shape: only numbers tell them apart."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(path, "w") as container:
        videos = [container.add_stream("mjpeg", rate=5) for _ in LIGHTS]
        for video in videos:
            video.width, video.height, video.pix_fmt = 64, 36, "yuvj420p"
        sounds = [container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in LEVELS]
        for index in range(SECONDS * 5):
            for video, light in zip(videos, LIGHTS, strict=True):
                picture = av.VideoFrame.from_ndarray(np.full((36, 64), light, np.uint8), format="gray")
                container.mux(video.encode(picture.reformat(format="yuvj420p")))
            for sound, level in zip(sounds, LEVELS, strict=True):
                times = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
                wave = (32767 * level * np.sin(2 * np.pi * 1000 * times)).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE, index * SAMPLE_RATE // 5
                container.mux(sound.encode(frame))
        for stream in (*videos, *sounds):
            container.mux(stream.encode(None))
    return path


def light(out: Path, name: str = "thumbnails/0001.jpg") -> int:
    return int(np.asarray(Image.open(out / name).convert("L")).mean())


@pytest.mark.parametrize("number", [0, 1])
def test_each_operation_takes_the_stream_it_names(number: int, film: Path, run: Run, out: Path) -> None:
    result = run(
        film,
        Loudness(stream=number),
        Waveform(stream=number),
        Thumbnails(count=1, stream=number),
        Storyboard(count=4, stream=number),
        Shots(stream=number),
    )
    peak = 20 * np.log10(LEVELS[number])
    assert result.summary["loudness"]["true_peak_dbtp"] == pytest.approx(peak, abs=0.3)
    assert max(json.loads((out / "waveform.json").read_text())["data"]) == pytest.approx(
        32767 * LEVELS[number], rel=0.02
    )
    assert light(out) == pytest.approx(LIGHTS[number], abs=3)
    assert light(out, "storyboard.jpg") == pytest.approx(LIGHTS[number], abs=3)
    assert result.summary["shots"] == {"count": 1, "frames": SECONDS * 5}


@pytest.mark.parametrize("number", [0, 1])
def test_sought_pictures_are_those_of_the_named_stream(number: int, film: Path, run: Run, out: Path) -> None:
    run(film, Thumbnails(seconds=(0.1, 3.5), stream=number))
    assert light(out, "thumbnails/0002.jpg") == pytest.approx(LIGHTS[number], abs=3)


def test_one_pass_decodes_each_stream_once(film: Path, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "shared.media.decoding")
    run(film, Loudness(), Waveform(stream=1), Speech(stream=0), Shots(stream=1), Storyboard(stream=1))
    (line,) = [record for record in caplog.records if getattr(record, "event", "") == "media.decoded"]
    with av.open(film) as container:
        audio = sum(1 for _ in container.decode(audio=0)) + 0
    assert line.details["frames"] == {"audio": 2 * audio, "video": SECONDS * 5}


def test_speech_of_one_stream_and_text_of_another(film: Path, run: Run) -> None:
    result = run(film, Speech(stream=1), Transcribe(stream=0))
    assert result.summary["speech"]["duration_s"] == pytest.approx(SECONDS, abs=0.1)
    assert result.summary["transcribe"]["duration_s"] == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (Loudness(stream=2), "the file has no audio stream 2: there are 0 to 1"),
        (Transcribe(stream=7), "the file has no audio stream 7: there are 0 to 1"),
        (Thumbnails(stream=2), "the file has no video stream 2: there are 0 to 1"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_stream_that_is_not_there_is_refused_and_those_that_are_there_are_told(
    operation: Operation, said: str, film: Path, run: Run
) -> None:
    with pytest.raises(ProcessingFailed) as caught:
        run(film, operation)
    assert caught.value.message == said
    assert caught.value.reason_code in ("no_audio_stream", "no_video_stream")
