"""The one pass: against bare decoding of the same film, and against one command for each artifact."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import av

from bench.media_rounds import Setting, call, in_turn, ratios, timed
from bench.report import Figure
from shared.media.process import MediaProcessor
from shared.operations import BY_NAME, Operation, OperationName

#: All that looks at the pictures and needs no model.
_VIDEO: Final[tuple[OperationName, ...]] = ("shots", "storyboard", "thumbnails", "fingerprint")
#: All that ffmpeg or ffprobe have a command for.
_ALL: Final[tuple[OperationName, ...]] = ("shots", "storyboard", "thumbnails", "probe", "loudness", "waveform")
#: `-an`: the analyses of the video do not decode the sound.
_BARE: Final = "ffmpeg -v error -i {film} -an -f null -"
#: The artifacts of `_ALL` by a command each, as its manual would have it.
_COMMANDS: Final[Mapping[OperationName, str]] = {
    "probe": "ffprobe -v error -show_format -show_streams -of json {film}",
    "shots": "ffmpeg -v error -y -i {film} -an -vf scale=64:36,scdet=t=10,metadata=print:file={out}/shots.txt"
    " -f null -",
    "storyboard": "ffmpeg -v error -y -i {film} -an -vf fps=1/{step},scale=160:-2,tile=10x10 -frames:v 1"
    " {out}/storyboard.jpg",
    "thumbnails": "ffmpeg -v error -y -i {film} -an -vf fps=5/{seconds},scale=640:-2 -frames:v 5 {out}/%04d.jpg",
    "loudness": "ffmpeg -v error -y -i {film} -vn"
    " -af ebur128=metadata=1:peak=true,ametadata=print:file={out}/loudness.txt -f null -",
    "waveform": "ffmpeg -v error -y -i {film} -vn"
    " -filter_complex aformat=channel_layouts=mono,showwavespic=s=1800x280 -frames:v 1 {out}/waveform.png",
}


def measure_pass(setting: Setting) -> list[Figure]:
    """Seconds of each way, and the two ratios that are promised. Raises LeftOut without ffmpeg."""
    film, engine = setting.film, setting.engine()
    taken = in_turn(
        setting.rounds,
        {
            "ffmpeg": timed(lambda: call(_BARE, film=film)),
            "pyav": timed(lambda: decode_video(film)),
            "video": timed(lambda: analyse(engine, film, *_VIDEO)),
            "all": timed(lambda: analyse(engine, film, *_ALL)),
            "commands": timed(lambda: _call_each(setting)),
        },
    )
    labels = {
        "ffmpeg": "ffmpeg decodes the video, nothing else",
        "pyav": "PyAV decodes the video, nothing else",
        "video": f"{', '.join(_VIDEO)} in one pass",
        "all": f"{', '.join(_ALL)} in one pass",
        "commands": "the same artifacts by one command each",
    }
    return [
        *(Figure.median(labels[name], times, "s", "lower") for name, times in taken.items()),
        Figure.median("video analyses / bare PyAV", ratios(taken["video"], taken["pyav"]), "x", "lower"),
        Figure.median(
            "video analyses / bare ffmpeg", ratios(taken["video"], taken["ffmpeg"]), "x", "lower", must=1.25, aim=1.10
        ),
        Figure.median(
            "one command each / all in one pass",
            ratios(taken["commands"], taken["all"]),
            "x",
            "higher",
            must=2.5,
            aim=3.0,
        ),
    ]


def analyse(engine: MediaProcessor, film: Path, *asked: OperationName | Operation) -> dict[str, Any]:
    """Do these operations; answers the summary."""
    operations = [BY_NAME[each]() if isinstance(each, str) else each for each in asked]
    with tempfile.TemporaryDirectory() as out:
        return engine.process(film, operations, Path(out), explicit=True, report=lambda stage, percent: None).summary


def decode_video(film: Path) -> None:
    """Every picture of the film, and nothing else."""
    with av.open(film) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass


def _call_each(setting: Setting) -> None:
    step = max(setting.seconds / 100, 1.0)
    for command in _COMMANDS.values():
        call(command, film=setting.film, seconds=setting.seconds, step=step)
