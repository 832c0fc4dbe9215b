"""What an hour costs in memory, each measured in a process of its own.

A worker listens, and its growth counts; the child that decodes looks at the pictures, and all it has counts.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Final

import numpy as np

from bench.media_film import SMALL, ensure_film, make_long
from bench.media_rounds import Setting
from bench.report import Figure
from local.assets import ensure_assets
from shared.media.audio import SAMPLE_RATE, decode_audio
from shared.media.process import MediaProcessor
from shared.operations import Fingerprint, Loudness, Shots, Storyboard, Thumbnails, Transcribe, Waveform

#: What looks at all pictures or hears all sound, and needs no model.
_LOOKED: Final = (Shots(), Fingerprint(), Storyboard(), Thumbnails(per="shot"), Waveform(), Loudness())


def measure_memory(setting: Setting) -> list[Figure]:
    """Transcribing: the peak for the recording over and over as one file, less the peak for a second of it.

    Looking: the peak of the decoding child for the small film over and over, at 30 pictures a second.
    """
    seconds = setting.long_seconds
    loaded, most = _in_a_process("hear", seconds)
    [looking] = _in_a_process("look", seconds)
    return [
        Figure.median("a worker with its model loaded: memory", [loaded], "MB", "lower"),
        Figure.median(f"more at most while it transcribes {seconds} s", [most - loaded], "MB", "lower", must=600.0),
        Figure.median(f"a decoding child at most, all analyses of {seconds} s", [looking], "MB", "lower", must=600.0),
    ]


def _in_a_process(what: str, seconds: int) -> list[float]:
    command = [sys.executable, "-m", "bench.media_memory", what, str(seconds)]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    peaks: list[float] = json.loads(done.stdout)
    return peaks


def _hear(seconds: int) -> list[float]:
    assets = ensure_assets()
    sound = np.round(decode_audio(assets.speech, lambda fraction: None).samples * 32767).astype(np.int16)
    peaks: list[float] = []
    for length in (1, seconds):
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder) / "long.wav", Path(folder) / "out"
            out.mkdir()
            with wave.open(str(source), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes(np.resize(sound, length * SAMPLE_RATE).tobytes())
            if not peaks:
                engine = MediaProcessor(model=assets.model, weights=assets.weights, device="cpu", many_jobs=True)
            engine.process(source, [Transcribe()], out, explicit=True, report=lambda stage, percent: None)
        peaks.append(_peak_megabytes())
    return peaks


def _look(seconds: int) -> list[float]:
    assets = ensure_assets()
    film = ensure_film(SMALL, assets)
    child = _Child()
    log = logging.getLogger("shared.media.decoding_child")
    log.setLevel(logging.DEBUG)
    log.addHandler(child)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        out.mkdir()
        size = film.stat().st_size * seconds // SMALL.seconds
        source = make_long(Path(folder) / film.name, film, size=size, index_in_front=True)
        engine = MediaProcessor(model=assets.model, weights=assets.weights, device="cpu", many_jobs=True)
        engine.process(source, _LOOKED, out, explicit=True, report=lambda stage, percent: None)
    return child.peaks


class _Child(logging.Handler):
    """Hears each decoding child's last word: of its own memory."""

    def __init__(self) -> None:
        super().__init__()
        self.peaks: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if (peak := vars(record).get("details", {}).get("peak_megabytes")) is not None:
            self.peaks.append(peak)


def _peak_megabytes() -> float:
    """Of this program alone: getrusage's figure begins with what the process had that started it."""
    [peak] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps({"hear": _hear, "look": _look}[sys.argv[1]](int(sys.argv[2]))))
