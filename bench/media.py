"""The media engine's speed, each figure beside what it is compared with: python -m bench media [--only ROW] …

Every row runs its candidates in turn, round after round; ratios are medians of the rounds' own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import av

from bench.media_film import FILM, SMALL, ensure_film
from bench.media_gpu import measure_gpu
from bench.media_memory import measure_memory
from bench.media_pass import measure_pass
from bench.media_rounds import LeftOut, Setting, call
from bench.media_silence import measure_silence
from bench.media_storage import measure_bytes, measure_looks, measure_overhead
from bench.media_transcription import measure_transcription
from bench.media_vad import measure_vad
from bench.report import OUT, Figure, publish
from local.assets import ensure_assets

ROWS: Final[Mapping[str, Callable[[Setting], list[Figure]]]] = {
    "pass": measure_pass,
    "transcribe": measure_transcription,
    "memory": measure_memory,
    "vad": measure_vad,
    "silence": measure_silence,
    "bytes": measure_bytes,
    "looks": measure_looks,
    "overhead": measure_overhead,
    "gpu": measure_gpu,
}
_LARGE_BYTES: Final = 10**9
_LONG_SECONDS: Final = 3600


def main(options: Sequence[str] = ()) -> bool:
    """Measure, print, write media.json (media-part.json when not all was measured on the real film)."""
    asked = _parse(options)
    recipe = SMALL if asked.small else FILM
    assets = ensure_assets()
    film = ensure_film(recipe, assets)
    figures: list[Figure] = []
    left_out: dict[str, str] = {}
    names = asked.only or list(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            assets=assets,
            film=film,
            seconds=recipe.seconds,
            rounds=asked.rounds,
            large_bytes=_LARGE_BYTES // 100 if asked.small else _LARGE_BYTES,
            long_seconds=_LONG_SECONDS // 60 if asked.small else _LONG_SECONDS,
            folder=Path(folder),
        )
        for name in names:
            print(f"measuring {name} …", file=sys.stderr)
            try:
                figures += ROWS[name](setting)
            except LeftOut as reason:
                left_out[name] = reason.message
    if asked.small:  # the promises are about large files: of a small one, opening it is a good part of the work
        figures = [replace(figure, must=None, aim=None) for figure in figures]
    is_whole = set(names) == set(ROWS) and not asked.small
    title = (
        f"{film.name}: {recipe.seconds} s, {film.stat().st_size / 1e6:.1f} MB, {recipe.size[1]}p;"
        f" median of {asked.rounds} rounds; {_versions()}"
    )
    return publish("media" if is_whole else "media-part", title, figures, left_out=left_out, out=asked.out)


def _versions() -> str:
    try:
        ffmpeg = call("ffmpeg -version").split()[2]
    except LeftOut as reason:
        ffmpeg = reason.message
    return f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}, ffmpeg {ffmpeg}"


def _parse(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench media", description=main.__doc__)
    parser.add_argument("--only", action="append", choices=ROWS, help="this row alone; may be given again")
    parser.add_argument("--rounds", type=int, default=5, help="how often each candidate runs (5)")
    parser.add_argument("--small", action="store_true", help="a film of 12 s: shows that all runs, promises nothing")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the JSON file (build/bench)")
    return parser.parse_args(options)
