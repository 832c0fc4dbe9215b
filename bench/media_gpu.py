"""What a GPU makes of the same work: decoding, speech to text, and how busy thirty files keep it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import fmean
from typing import Final

from bench.media_pass import analyse
from bench.media_rounds import LeftOut, Setting, call, in_turn, ratios, timed
from bench.report import Figure
from shared.media.model import has_gpu
from shared.operations import Transcribe
from shared.resources import declared

_BARE: Final = "ffmpeg -v error -hwaccel cuda -hwaccel_output_format cuda -i {film} -an -f null -"
#: The client's own plan.
_FILES: Final = 30
_SAMPLE_SECONDS: Final = 0.5
_BUSY: Final = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0")


def measure_gpu(setting: Setting) -> list[Figure]:
    """Decoding beside ffmpeg's, the real-time factor, the share of time at work. Raises LeftOut without a GPU."""
    if not has_gpu():
        raise LeftOut("no GPU here")
    engine, film = setting.engine("cuda"), setting.film
    analyse(engine, film, "shots", Transcribe(language="en"))  # what loads, loads
    taken = in_turn(
        setting.rounds,
        {
            "ffmpeg": timed(lambda: call(_BARE, film=film)),
            "shots": timed(lambda: analyse(engine, film, "shots")),
            "speech": timed(lambda: analyse(engine, film, Transcribe(language="en"))),
        },
    )
    at_once = declared().jobs["gpu"].files_at_once
    with _utilisation() as busy, ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: analyse(engine, film, "shots", Transcribe(language="en")), range(_FILES)))
    return [
        Figure.median("ffmpeg -hwaccel cuda decodes the video, nothing else", taken["ffmpeg"], "s", "lower"),
        Figure.median("shots, decoded by NVDEC", taken["shots"], "s", "lower"),
        Figure.median("shots by NVDEC / ffmpeg -hwaccel cuda", ratios(taken["shots"], taken["ffmpeg"]), "x", "lower"),
        Figure.median(
            "speech to text on the GPU: real-time factor",
            [seconds / setting.seconds for seconds in taken["speech"]],
            "x",
            "lower",
        ),
        Figure(
            f"the GPU at work while {_FILES} files are drained, {at_once} at once", fmean(busy), "%", "higher", aim=80
        ),
    ]


@contextmanager
def _utilisation() -> Iterator[list[float]]:
    """Percent of the time in which the GPU worked, twice a second (nvidia-smi's `utilization.gpu`)."""
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            seen.append(float(subprocess.check_output(_BUSY, text=True)))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield seen
        finally:
            done.set()
            watching.result()
