"""Jobs on objects in storage: bytes read of a large one, time for a look into a film, and what a job costs besides."""

from __future__ import annotations

from typing import Final

from bench.media_film import SMALL, ensure_film, make_long
from bench.media_pass import analyse, decode_video
from bench.media_rounds import Setting, call, in_turn, ratios, timed
from bench.media_worker import StorageWorker, storage_worker
from bench.report import Figure
from shared.job import Source
from shared.operations import Operation, Probe, Shots, Thumbnails

_PROBE_BY_URL: Final = "ffprobe -v error -show_format -show_streams -of json {url}"
_THUMBNAIL_BY_URL: Final = "ffmpeg -v error -y -ss {moment} -i {url} -frames:v 1 -vf scale=640:-2 {out}/thumbnail.jpg"


def measure_bytes(setting: Setting) -> list[Figure]:
    """Of a large object, the share that a job for a probe and one thumbnail reads; its index in front, and at the end.

    Counted on the wire between worker and storage, records and HTTP included.
    """
    figures = []
    with storage_worker(setting, upload_bytes=2 * setting.large_bytes) as worker:
        for where in ("front", "end"):
            large = make_long(
                setting.folder / f"index-{where}.mp4",
                setting.film,
                size=setting.large_bytes,
                index_in_front=where == "front",
            )
            size = large.stat().st_size
            source = worker.put(large)
            large.unlink()
            shares = [
                100 * worker.bytes_read(source, Probe(), Thumbnails(count=1)) / size for _ in range(setting.rounds)
            ]
            measure = f"probe and one thumbnail of {size / 1e6:.0f} MB, index at the {where}: read of it"
            figures.append(Figure.median(measure, shares, "%", "lower", must=5.0, aim=1.0))
    return figures


def measure_looks(setting: Setting) -> list[Figure]:
    """A job that wants one thumbnail, or a probe, against ffmpeg and ffprobe on the object's URL: the old hub's way.

    The job's time is what the worker says itself (`processing_seconds`): fetch, work, upload of the results.
    """
    moment = round(setting.seconds * 0.6, 1)
    with storage_worker(setting, upload_bytes=setting.film.stat().st_size) as worker:
        source = worker.put(setting.film)
        url = worker.url(source)
        taken = in_turn(
            setting.rounds,
            {
                "thumbnail": lambda: _processing(worker, source, Thumbnails(seconds=(moment,))),
                "ffmpeg": timed(lambda: call(_THUMBNAIL_BY_URL, url=url, moment=moment)),
                "probe": lambda: _processing(worker, source, Probe()),
                "ffprobe": timed(lambda: call(_PROBE_BY_URL, url=url)),
            },
        )
    figures = []
    for wanted, old in (("thumbnail", "ffmpeg"), ("probe", "ffprobe")):
        figures += [
            Figure.median(f"a job that wants a {wanted} only: worker time", taken[wanted], "s", "lower"),
            Figure.median(f"the same by {old} on the URL", taken[old], "s", "lower"),
            Figure.median(
                f"{wanted} only: job / {old}", ratios(taken[wanted], taken[old]), "x", "lower", must=1.5, aim=1.0
            ),
        ]
    return figures


def measure_overhead(setting: Setting) -> list[Figure]:
    """What a job costs besides its fetch and its decoding; no inference is asked for.

    The job: probe, shots and thumbnails of twelve seconds of 320x180, whose pictures are decoded once. From the whole
    attempt (lease, fetch, check, work, upload, outcome, webhook's task, marker) is taken, round by round, a download of
    the same object and the bare decoding of the same video. What is left holds shrinking and JPEGs, too.
    """
    wanted: tuple[Operation, ...] = (Probe(), Shots(), Thumbnails())
    film, engine = ensure_film(SMALL, setting.assets), setting.engine()
    with storage_worker(setting, upload_bytes=film.stat().st_size) as worker:
        source = worker.put(film)
        taken = in_turn(
            setting.rounds,
            {
                "attempt": lambda: worker.attempt(source, *wanted).seconds,
                "fetch": timed(lambda: worker.fetch(source, setting.folder / "fetched.mp4")),
                "engine": timed(lambda: analyse(engine, film, *wanted)),
                "decode": timed(lambda: decode_video(film)),
            },
        )
    each = list(zip(*(taken[name] for name in ("attempt", "fetch", "engine", "decode")), strict=True))
    overhead = [attempt - fetch - decode for attempt, fetch, _, decode in each]
    outside = [attempt - fetch - engine for attempt, fetch, engine, _ in each]
    return [
        Figure.median("a small job without speech: the whole attempt", taken["attempt"], "s", "lower"),
        Figure.median("besides fetch and decoding", overhead, "s", "lower", must=0.150, aim=0.050),
        Figure.median("of that outside the media engine", outside, "s", "lower"),
    ]


def _processing(worker: StorageWorker, source: Source, operation: Operation) -> float:
    return worker.attempt(source, operation).outcome.processing_seconds
