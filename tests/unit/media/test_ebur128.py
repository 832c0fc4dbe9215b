"""Loudness is what `ffmpeg -af ebur128` says: on speech, music, 5.1, other rates and channels that nobody named."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from local.assets import Assets
from shared.operations import Loudness
from tests.films import Film, make_film
from tests.unit.media.conftest import Run

Measured = dict[str, float]


@pytest.fixture(scope="session")
def ebur128() -> Callable[[Path], Measured]:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no ffmpeg command to compare with")

    def measure(source: Path) -> Measured:
        command = [
            program,
            "-hide_banner",
            "-nostats",
            "-i",
            source,
            "-vn",
            "-af",
            "ebur128=peak=true",
            "-f",
            "null",
            "-",
        ]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr.rpartition("Summary:")[2]
        return {name: float(value) for name, value in re.findall(r"^\s+(I|LRA|Peak):\s+(\S+)", said, re.MULTILINE)}

    return measure


def _agrees(run: Run, source: Path, theirs: Measured) -> None:
    ours = run(source, Loudness()).summary["loudness"]
    measured = [ours[name] for name in ("integrated_lufs", "range_lu", "true_peak_dbtp")]
    assert measured == pytest.approx([theirs[name] for name in ("I", "LRA", "Peak")], abs=0.1)


@pytest.mark.parametrize("name", ["speech", "demo"])
def test_on_real_speech(name: str, run: Run, assets: Assets, ebur128: Callable[[Path], Measured]) -> None:
    source = getattr(assets, name)
    _agrees(run, source, ebur128(source))


@pytest.mark.parametrize("name", ["jfk.flac", "nasa_13013.mp4"])  # 44.1 kHz stereo; 8 and 16 kHz stereo
def test_on_recordings(name: str, run: Run, recording, ebur128: Callable[[Path], Measured]) -> None:  # type: ignore[no-untyped-def]
    source = recording(name)
    _agrees(run, source, ebur128(source))


@pytest.mark.parametrize("suffix", [".m4a", ".mkv", ".wav"])
def test_on_5_1(suffix: str, run: Run, tmp_path: Path, ebur128: Callable[[Path], Measured]) -> None:
    codec = {".mkv": "ac3", ".wav": "pcm_s24le"}.get(suffix, "aac")
    source = make_film(tmp_path / f"noise{suffix}", Film(suffix, None, codec, seconds=5.0, layout="5.1", rate=44_100))
    _agrees(run, source, ebur128(source))


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 8])
def test_on_channels_that_nobody_named(
    channels: int, run: Run, tmp_path: Path, ebur128: Callable[[Path], Measured]
) -> None:
    source = tmp_path / "noise.wav"
    levels = np.arange(1, channels + 1) * 1000
    noise = np.random.default_rng(1).standard_normal((44_100 * 5, channels)) * levels
    source.write_bytes(_plain_wav(noise.clip(-32768, 32767).astype("<i2"), rate=44_100))
    _agrees(run, source, ebur128(source))


def _plain_wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of the old kind, which says how many channels there are and not which."""
    data, channels = samples.tobytes(), samples.shape[1]
    described = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", len(described)) + described + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks
