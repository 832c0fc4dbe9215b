"""All video analyses in one pass, against bare decoding of the same file and against one ffmpeg command each.

`python -m bench media` takes a small film of its own making; BENCH_MEDIA_FILE names another file, BENCH_MEDIA_ROUNDS
how many rounds. Each round runs every candidate once, so that a busy machine is busy for all; ratios are
medians of the rounds'.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import av

from bench.media_film import make_film
from bench.report import Figure, publish
from shared.media.process import MediaProcessor
from shared.operations import BY_NAME, Operation, OperationName

#: The promises are about films from this length on: of a short one, opening it is a good part of the work.
_PROMISED_SECONDS: Final = 60.0
_VIDEO: Final[tuple[OperationName, ...]] = ("shots", "storyboard", "thumbnails")
_ALL: Final[tuple[OperationName, ...]] = (*_VIDEO, "probe", "loudness", "waveform")
#: The same artifacts by a command each; {out} is a folder.
_COMMANDS: Final[Mapping[str, str]] = {
    "probe": "ffprobe -v error -show_format -show_streams -of json {source}",
    "shots": "ffmpeg -v error -y -i {source} -an -vf scale=64:36,scdet=t=10,metadata=print:file={out}/shots.txt"
    " -f null -",
    "storyboard": "ffmpeg -v error -y -i {source} -an -vf fps=1/{step},scale=160:-2,tile=10x10 -frames:v 1"
    " {out}/storyboard.jpg",
    "thumbnails": "ffmpeg -v error -y -i {source} -an -vf fps=5/{seconds},scale=640:-2 -frames:v 5 {out}/%04d.jpg",
    "loudness": "ffmpeg -v error -y -i {source} -vn"
    " -af ebur128=metadata=1:peak=true,ametadata=print:file={out}/loudness.txt -f null -",
    "waveform": "ffmpeg -v error -y -i {source} -vn"
    " -filter_complex aformat=channel_layouts=mono,showwavespic=s=1800x280 -frames:v 1 {out}/waveform.png",
}


def main() -> bool:
    """Measure, print, write build/bench/media.json."""
    rounds = int(os.environ.get("BENCH_MEDIA_ROUNDS", "3"))
    with tempfile.TemporaryDirectory() as folder:
        given = os.environ.get("BENCH_MEDIA_FILE")
        source = Path(given) if given else make_film(Path(folder) / "film.mp4")
        processor = MediaProcessor(model=Path(folder))  # no operation here asks for the model
        seconds = processor.media_seconds(source) or 1.0
        candidates: dict[str, Callable[[], object]] = {
            "bare": lambda: _decode(source),
            "video": lambda: _analyse(processor, source, _VIDEO),
            "all": lambda: _analyse(processor, source, _ALL),
        }
        if ffmpeg := shutil.which("ffmpeg"):
            candidates["ffmpeg bare"] = lambda: _call(f"{ffmpeg} -v error -i {{source}} -an -f null -", source, seconds)
            candidates["ffmpeg commands"] = lambda: _call_each(source, seconds)
        taken = {name: [0.0] * rounds for name in candidates}
        for index in range(rounds):
            for name, candidate in candidates.items():
                taken[name][index] = _timed(candidate)
    return publish(
        "media", f"One pass over {seconds:.0f} s of video, median of {rounds} rounds", _figures(taken, seconds)
    )


def _figures(taken: Mapping[str, list[float]], seconds: float) -> list[Figure]:
    labels = {
        "bare": "PyAV decodes the video, nothing else",
        "video": f"{', '.join(_VIDEO)} in one pass",
        "all": f"{', '.join(_ALL)} in one pass",
        "ffmpeg bare": "ffmpeg decodes the video, nothing else",
        "ffmpeg commands": "the same artifacts by one command each",
    }
    figures = [Figure(labels[name], statistics.median(times), "s", "lower") for name, times in taken.items()]
    near, few = ((1.25, 1.10), (2.5, 3.0)) if seconds >= _PROMISED_SECONDS else ((None, None), (None, None))
    over_bare = _ratio(taken["video"], taken["bare"])
    figures.append(Figure("video analyses / bare PyAV", over_bare, "x", "lower", *near))
    if "ffmpeg bare" in taken:
        over_ffmpeg = _ratio(taken["video"], taken["ffmpeg bare"])
        times_faster = _ratio(taken["ffmpeg commands"], taken["all"])
        figures.append(Figure("video analyses / bare ffmpeg", over_ffmpeg, "x", "lower", *near))
        figures.append(Figure("one command each / all in one pass", times_faster, "x", "higher", *few))
    return figures


def _decode(source: Path) -> None:
    with av.open(source) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass


def _analyse(processor: MediaProcessor, source: Path, names: tuple[OperationName, ...]) -> None:
    operations: list[Operation] = [BY_NAME[name]() for name in names]
    with tempfile.TemporaryDirectory() as out:
        processor.process(source, operations, Path(out), explicit=True, report=lambda stage, percent: None)


def _call_each(source: Path, seconds: float) -> None:
    for command in _COMMANDS.values():
        _call(command, source, seconds)


def _call(command: str, source: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as out:
        places = {"source": source, "out": out, "seconds": seconds, "step": max(seconds / 100, 1.0)}
        words = [word.format(**places) for word in command.split()]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _ratio(over: list[float], under: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(over, under, strict=True))
