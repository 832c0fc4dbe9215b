"""Three hours of sound and many pictures cost little memory, and silence costs no inference."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from shared.operations import Transcribe
from tests.unit.media.conftest import Run

ROOT = Path(__file__).resolve().parents[3]
HOURS = 3
RATE = 8000
#: What a process may take at most for such a file besides what it takes for one of a second, in MB.
MOST_MEGABYTES = 60

#: Prints the summary, and the megabytes that this process or its decoding child had at most.
PROCESS = """
import json, logging, re, sys
from pathlib import Path
from shared.media.process import MediaProcessor
from shared.operations import Probe, Shots, Waveform
children = []
class Ends(logging.Handler):
    def emit(self, record):
        children.append(record.details["peak_megabytes"])
log = logging.getLogger("shared.media.decoding_child")
log.setLevel(logging.DEBUG)
log.addHandler(Ends())
result = MediaProcessor(model="none").process(
    Path(sys.argv[1]),
    [Probe(), {"Shots": Shots, "Waveform": Waveform}[sys.argv[3]]()],
    Path(sys.argv[2]),
    explicit=True,
    report=lambda stage, percent: None,
)
[child] = children
# Not getrusage's: that begins with what the process had which started this one.
own = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000
print(json.dumps([result.summary, max(own, child)]))
"""


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _silence(tmp_path_factory.mktemp("long") / "silence.flac", HOURS * 3600)


def test_three_hours_are_processed_in_little_memory(silence: Path, tmp_path: Path) -> None:
    _, usual = _process(_silence(tmp_path / "second.flac", 1), tmp_path, "Waveform")
    summary, most = _process(silence, tmp_path, "Waveform")
    assert summary["probe"]["duration_s"] == pytest.approx(HOURS * 3600, abs=1)
    assert summary["waveform"]["length"] == pytest.approx(HOURS * 3600 * 20, abs=20)
    assert most - usual < MOST_MEGABYTES


def test_many_pictures_are_looked_at_in_little_memory(tmp_path: Path) -> None:
    _, usual = _process(_flicker(tmp_path / "short.mkv", 200), tmp_path, "Shots")
    summary, most = _process(_flicker(tmp_path / "long.mkv", 12_000), tmp_path, "Shots")
    assert summary["shots"]["frames"] == 12_000
    assert most - usual < MOST_MEGABYTES


def test_three_silent_hours_have_an_empty_transcript(silence: Path, run: Run, out: Path) -> None:
    summary = run(silence, Transcribe()).summary["transcribe"]  # the model would take minutes
    assert (summary["text"], summary["segments"]) == ("", 0)
    assert summary["duration_s"] == pytest.approx(HOURS * 3600, abs=1)
    assert (out / "transcript.srt").read_text() == ""
    assert (out / "transcript.vtt").read_text().strip() == "WEBVTT"


def _silence(path: Path, seconds: int) -> Path:
    with av.open(path, "w") as recording:
        audio = recording.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        for start in range(0, seconds * RATE, frame.samples):
            frame.pts = start
            recording.mux(audio.encode(frame))
        recording.mux(audio.encode(None))
    return path


def _flicker(path: Path, frames: int) -> Path:
    """Two pictures by turns, ten times a second, as small as shots are looked for in."""
    noise = np.random.default_rng(1).integers(0, 255, (2, 36, 64), np.uint8)
    pictures = [av.VideoFrame.from_ndarray(each, format="gray").reformat(format="yuv420p") for each in noise]
    with av.open(path, "w") as film:
        video = film.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        for index in range(frames):
            frame = pictures[index // 40 % 2]
            frame.pts, frame.time_base = index, Fraction(1, 10)
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
    return path


def _process(source: Path, folder: Path, operation: str) -> tuple[dict[str, dict[str, float]], float]:
    command = [sys.executable, "-c", PROCESS, str(source), str(folder), operation]
    summary, most = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    return summary, most
