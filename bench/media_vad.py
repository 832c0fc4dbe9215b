"""Our voice detector against Silero's own way of using its TorchScript, on the same sound and one thread each."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from silero_vad.utils_vad import get_speech_timestamps

from bench.media_rounds import Setting, in_turn, ratios, timed
from bench.report import Figure
from shared.media.audio import SAMPLE_RATE, decode_audio
from shared.media.vad import VoiceDetector
from shared.media.vad_spans import Span, SpeechRules, speech_spans

#: Of speech, for each second of the film: five minutes beside the real one.
_TIMES: Final = 3


def measure_vad(setting: Setting) -> list[Figure]:
    """The real speech, over and over. Raises RuntimeError when the two find other spans."""
    samples = _speech(setting)
    hours = len(samples) / SAMPLE_RATE / 3600
    tensor = torch.from_numpy(samples)
    detector = VoiceDetector(setting.assets.weights)
    script = _script(setting)
    spans: dict[str, list[Span]] = {}

    def ours() -> None:
        spans["ours"] = speech_spans(detector.probabilities(samples), SpeechRules(), len(samples) / SAMPLE_RATE)

    def theirs() -> None:
        found = get_speech_timestamps(tensor, script)
        spans["theirs"] = [Span(each["start"] / SAMPLE_RATE, each["end"] / SAMPLE_RATE) for each in found]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # The first calls load and compile.
        ours()
        get_speech_timestamps(tensor[: 10 * SAMPLE_RATE], script)
        taken = in_turn(setting.rounds, {"ours": timed(ours), "theirs": timed(theirs)})
    finally:
        torch.set_num_threads(threads)
    if spans["ours"] != spans["theirs"]:
        raise RuntimeError("our spans of speech are not Silero's")
    per_hour = [seconds / hours for seconds in taken["ours"]]
    return [
        Figure.median("voice detection, an hour of sound", per_hour, "s", "lower"),
        Figure.median(
            "silero's get_speech_timestamps / ours",
            ratios(taken["theirs"], taken["ours"]),
            "x",
            "higher",
            must=8.0,
            aim=12.0,
        ),
    ]


def _speech(setting: Setting) -> NDArray[np.float32]:
    once = decode_audio(setting.assets.speech, lambda fraction: None).samples
    return np.resize(once, round(_TIMES * setting.seconds) * SAMPLE_RATE)


def _script(setting: Setting) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(setting.assets.weights / "silero_vad.jit"))  # type: ignore[no-untyped-call,no-any-return]
