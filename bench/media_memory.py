"""What a worker's memory grows by when it transcribes a long file: measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Final

import numpy as np

from bench.media_rounds import Setting
from bench.report import Figure
from local.assets import ensure_assets
from shared.media.audio import SAMPLE_RATE, decode_audio
from shared.media.process import MediaProcessor
from shared.operations import Transcribe

#: Of the long file, for each second of the film: an hour beside the real one.
_LONG_SECONDS: Final = 36


def measure_memory(setting: Setting) -> list[Figure]:
    """The peak while the recording is heard over and over as one file, less the peak of a file of one second."""
    seconds = round(_LONG_SECONDS * setting.seconds)
    command = [sys.executable, "-m", "bench.media_memory", str(seconds)]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    loaded, most = json.loads(done.stdout)
    return [
        Figure.median("a worker with its model loaded: memory", [loaded], "MB", "lower"),
        Figure.median(f"more at most while it transcribes {seconds} s", [most - loaded], "MB", "lower", must=600.0),
    ]


def _measure(seconds: int) -> tuple[float, float]:
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
    return peaks[0], peaks[1]


def _peak_megabytes() -> float:
    """Of this program alone: getrusage's figure begins with what the process had that started it."""
    [peak] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
