"""Sound whose headers are odd or wrong, though it can be heard as well as any other."""

from __future__ import annotations

import json
import math
import resource
import struct
import wave
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import av
import numpy as np
import pytest

from shared.media.artifacts import ArtifactFolder
from shared.media.facts import look
from shared.media.limits import DecodeLimits, allow_cpu
from shared.media.media_file import MediaFile
from shared.media.plan import Plan
from shared.operations import Loudness, Operation, Speech, Waveform
from tests.films import Film, make_film
from tests.unit.media.conftest import Run

RATE = 16_000


def _names(operations: tuple[Operation, ...]) -> str:
    return "-".join(operation.name for operation in operations)


def _wav(path: Path, channels: int) -> Path:
    tone = (np.sin(np.arange(RATE * 3) * 0.2) * 8000).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(np.repeat(tone[:, None], channels, axis=1).tobytes())
    return path


@pytest.mark.parametrize("channels", [9, 11, 13])
def test_channels_of_which_nothing_is_said_are_mixed_to_one(channels: int, run: Run, tmp_path: Path) -> None:
    levels = []
    for count in (1, channels):
        result = run(_wav(tmp_path / "sound.wav", count), Loudness(), Waveform(), Speech())
        assert result.warnings == ()
        levels.append(result.summary["loudness"]["integrated_lufs"])
    assert levels[1] == pytest.approx(levels[0], abs=0.1)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("operations", list(permutations([Loudness(), Waveform(), Speech()])), ids=_names)
def test_what_listens_first_leaves_the_sound_as_it_is_for_the_others(
    operations: tuple[Operation, ...], channels: int, run: Run, tmp_path: Path
) -> None:
    """A plain WAV does not name its channels; libavfilter does so in the very frame that others hear, too."""
    result = run(_wav(tmp_path / "sound.wav", channels), *operations)
    assert result.warnings == ()
    assert result.summary["speech"]["silences"] == 0


def _floating(path: Path, codec: str, odd: float) -> Path:
    """Five seconds of a tone with two odd samples in the first."""
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE * 5) / RATE)
    tone[RATE // 2 : RATE // 2 + 2] = odd
    with av.open(path, "w") as recording:
        stream = recording.add_stream(codec, rate=RATE, layout="mono")
        kind, sample_format = (np.float64, "dbl") if codec == "pcm_f64le" else (np.float32, "flt")
        frame = av.AudioFrame.from_ndarray(tone[None].astype(kind), format=sample_format, layout="mono")
        frame.sample_rate = RATE
        recording.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
def test_samples_that_are_no_numbers_count_as_silence(
    codec: str, odd: float, run: Run, tmp_path: Path, out: Path
) -> None:
    operations = (Loudness(), Waveform(pixels_per_second=20), Speech())
    whole = run(_floating(tmp_path / "whole.wav", codec, 0.0), *operations)
    shapes = [(out / name).read_text() for name in ("loudness.json", "waveform.json")]
    odd_one = run(_floating(tmp_path / "odd.wav", codec, odd), *operations)
    assert odd_one.warnings == ("samples that are no numbers count as silence: 2",)
    assert odd_one.summary == whole.summary
    assert [(out / name).read_text() for name in ("loudness.json", "waveform.json")] == shapes


def test_a_loudness_beyond_all_numbers_is_null(run: Run, tmp_path: Path, out: Path) -> None:
    result = run(_floating(tmp_path / "loud.wav", "pcm_f64le", 1e200), Loudness())
    document = json.loads((out / "loudness.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert document["integrated_lufs"] is None
    assert document["momentary"]["lufs"][5] is None
    assert document["momentary"]["lufs"][4] == pytest.approx(-23.6, abs=0.1)
    assert result.summary["loudness"]["max_momentary_lufs"] is None
    assert result.warnings == ("the sound is louder in places than can be measured",)


@pytest.mark.parametrize("bytes_a_second", [0, 1, 8_000, 64_000])
def test_a_wrong_byte_rate_does_not_matter(bytes_a_second: int, run: Run, tmp_path: Path) -> None:
    source = _wav(tmp_path / "sound.wav", 1)
    data = bytearray(source.read_bytes())
    data[28:32] = struct.pack("<I", bytes_a_second)
    source.write_bytes(data)
    result = run(source, Waveform(pixels_per_second=20))
    assert result.warnings == ()
    assert result.media_seconds == pytest.approx(3, abs=0.01)
    assert result.summary["waveform"]["length"] == 60


def test_a_rate_that_the_headers_do_not_know_makes_no_endless_waveform(tmp_path: Path) -> None:
    with MediaFile(make_film(tmp_path / "sound.ts", Film(".ts", None))) as media:
        facts = replace(look(media), sample_rate=0)
        plan = Plan.of([Waveform(pixels_per_second=20)], facts, 2.0, ArtifactFolder(tmp_path), tmp_path)
        plan.decode(media, lambda fraction: None)
        summary, _ = plan.finish("waveform", media, lambda fraction: None)
    assert summary["length"] == pytest.approx(40, abs=2)


def test_a_claimed_length_buys_no_more_than_a_day() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    try:
        allow_cpu(DecodeLimits(), 1e12)
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] <= 24 * 3600
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
