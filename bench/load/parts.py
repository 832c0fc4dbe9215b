"""What the local cloud is put through, each part on a cloud of its own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from bench.load.asking import SOURCES, ask, put, tone_in
from bench.load.ledger import Ledger, ledger
from bench.load.steadiness import steadiness
from bench.load.watch import Moment, Watch, watching
from bench.media_film import FILM, ensure_film
from bench.report import Figure
from local.assets import Assets, ensure_assets
from local.cloud import LocalCloud, local_cloud
from local.profile import Profile
from local.upload import upload


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it; the defaults are what is promised."""

    uploads: int = 10
    files: int = 30
    jobs: int = 2000
    minutes: float = 30.0
    #: Of the soak, jobs a minute.
    rate: float = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    figures: list[Figure]
    moments: list[Moment]
    #: Seconds since the watch began: what happened then.
    marks: Mapping[float, str]


#: All of a part's jobs must end within this, in seconds: the client's thirty minutes for thirty files.
_LIMIT: Final = 1800.0
#: Before a soak, at once for each route in turn.
_RUSH: Final = 25
#: Of a soak, whose jobs are few at a time, the last must end within so many seconds.
_TAIL: Final = 120.0
#: More than the backlog's alert needs besides the files: it fires above 100 messages.
_FLOOD: Final = 100
#: Five minutes of patience become ten seconds.
_SPEED: Final = 30.0
_RUNNERS: Final = 4


@dataclass(frozen=True, slots=True)
class _Stage:
    cloud: LocalCloud
    ledger: Ledger
    watch: Watch
    assets: Assets
    folder: Path

    def done(self, part: str, begun: float, *, within: float = _LIMIT, before: int = 0) -> list[Figure]:
        """Wait for all; how long it took, and that nothing is lost. Of all jobs so many had ended before it began."""
        self.ledger.wait(within - (time.monotonic() - begun))
        seconds = time.monotonic() - begun
        rate = Figure(f"{part}: jobs a minute", 60 * (self.ledger.ended - before) / seconds, "1/min", "higher")
        moments = [moment for moment in self.watch.moments if moment.at >= begun - self.watch.begun]
        longest = max((moment.oldest for moment in moments), default=0.0)
        return [
            Figure(f"{part}: all done after", seconds, "s", "lower", within),
            rate,
            Figure(f"{part}: the longest wait from acceptance to webhook", longest, "s", "lower"),
            *self.ledger.figures(self.cloud, part),
        ]


@contextmanager
def _stage(profile: Callable[[Assets, Ledger], Profile], *, every_seconds: float = 1.0) -> Iterator[_Stage]:
    assets = ensure_assets()
    with (
        ledger() as kept,
        tempfile.TemporaryDirectory() as folder,
        local_cloud(profile(assets, kept)) as cloud,
        watching(cloud, kept, every_seconds=every_seconds) as watch,
    ):
        yield _Stage(cloud, kept, watch, assets, Path(folder))


def uploads(size: Size) -> Outcome:
    """Large videos uploaded at once, as people do it, through the default profile."""

    def profile(assets: Assets, kept: Ledger) -> Profile:
        room = 2 * size.uploads * ensure_film(FILM, assets).stat().st_size
        return Profile(model=assets.model, max_gpu_executions=2, upload_bytes=room)

    with _stage(profile) as stage, ThreadPoolExecutor(size.uploads) as pool:
        film = ensure_film(FILM, stage.assets)
        begun = time.monotonic()

        def one(number: int) -> None:
            metadata = {"webhook-url": stage.ledger.hook}
            stage.ledger.ask(upload(stage.cloud, film, name=f"film-{number}.mp4", metadata=metadata))

        list(pool.map(one, range(size.uploads)))
        uploaded = time.monotonic() - begun
        figures = [Figure("uploads: all uploaded after", uploaded, "s", "lower"), *stage.done("uploads", begun)]
        return Outcome(figures, stage.watch.moments, {begun - stage.watch.begun + uploaded: "all uploaded"})


def gke(size: Size) -> Outcome:
    """Files for the pods, and so many small ones behind them that the backlog's alert fires."""

    def profile(assets: Assets, kept: Ledger) -> Profile:
        return Profile(
            model=assets.model,
            enable_gke_route=True,
            gke_max_runners=_RUNNERS,
            idle=20,
            monitoring=True,
            monitoring_speed=_SPEED,
            extra={"N8N_ALERT_URL": kept.n8n, "SOURCE_BUCKETS": SOURCES},
        )

    with _stage(profile) as stage:
        film = put(stage.cloud, stage.assets.demo)
        tone = put(stage.cloud, tone_in(stage.folder))
        begun = time.monotonic()
        for source, count in ((film, size.files), (tone, _FLOOD)):
            ask(stage.cloud, stage.ledger, [source] * count, operations=["transcribe"], destination="gke")
        figures = stage.done("gke", begun)
        _until(lambda: not stage.watch.moments[-1].runners, 120)
        closed = _until(lambda: {"open", "closed"} <= set(_backlog_alerts(stage.ledger)), 120)
        runners = [moment.runners for moment in stage.watch.moments]
        alerts = _backlog_alerts(stage.ledger)
        figures += [
            Figure("gke: runners before", runners[0], "", "lower", 0),
            Figure("gke: runners at most", max(runners), "", "higher", _RUNNERS),
            Figure("gke: runners at the end", runners[-1], "", "lower", 0),
            Figure("gke: the backlog's alert reached n8n, opened and closed", float(closed), "", "higher", 1),
        ]
        marks = {at - stage.watch.begun: f"alert {state}" for state, at in alerts.items()}
        return Outcome(figures, stage.watch.moments, marks)


def small(size: Size) -> Outcome:
    """Many small jobs for four workers."""

    def profile(assets: Assets, kept: Ledger) -> Profile:
        return Profile(model=assets.model, max_gpu_executions=_RUNNERS, extra={"SOURCE_BUCKETS": SOURCES})

    with _stage(profile) as stage:
        tone = put(stage.cloud, tone_in(stage.folder))
        begun = time.monotonic()
        ask(stage.cloud, stage.ledger, [tone] * size.jobs, operations=["transcribe"])
        accepted = time.monotonic() - begun
        figures = [
            Figure("small: all accepted after", accepted, "s", "lower"),
            *stage.done("small", begun),
            Figure(
                "small: workers at most", max(moment.runners for moment in stage.watch.moments), "", "lower", _RUNNERS
            ),
        ]
        return Outcome(figures, stage.watch.moments, {begun - stage.watch.begun + accepted: "all accepted"})


def soak(size: Size) -> Outcome:
    """A steady rate for a while, by turns for the GPU Job, a pod and the CPU Job: all that lives long stays flat.

    A rush comes before, since a process keeps as many connections as it once needed together.
    """

    def profile(assets: Assets, kept: Ledger) -> Profile:
        return Profile(model=assets.model, enable_gke_route=True, gke_max_runners=1, extra={"SOURCE_BUCKETS": SOURCES})

    with _stage(profile, every_seconds=5.0) as stage:
        tone = put(stage.cloud, tone_in(stage.folder))
        routes = [("transcribe", ""), ("transcribe", "gke"), ("transcribe", "gke"), ("waveform", "")]
        for operation, destination in routes:
            ask(stage.cloud, stage.ledger, [tone] * _RUSH, operations=[operation], destination=destination)
        stage.ledger.wait(_LIMIT)
        begun, before = time.monotonic(), stage.ledger.ended
        ends, due, turns = begun + 60 * size.minutes, begun, cycle(routes)
        while due < ends:
            time.sleep(max(0.0, due - time.monotonic()))
            operation, destination = next(turns)
            ask(stage.cloud, stage.ledger, [tone], operations=[operation], destination=destination)
            due += 60 / size.rate
        after, until = begun - stage.watch.begun, ends - stage.watch.begun
        steady = [moment for moment in stage.watch.moments if after <= moment.at <= until]
        figures = stage.done("soak", begun, within=60 * size.minutes + _TAIL, before=before)
        return Outcome([*figures, *steadiness(steady)], stage.watch.moments, {})


def _backlog_alerts(kept: Ledger) -> dict[str, float]:
    """The states of the backlog's alert that were told, with the moment of the first of each."""
    found: dict[str, float] = {}
    for at, body in list(kept.alerts):
        if body["title"] == "GpuBacklog":
            found.setdefault(body["state"], at)
    return found


def _until(holds: Callable[[], Any], seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.5)
    return True


PARTS: Final[Mapping[str, Callable[[Size], Outcome]]] = {"uploads": uploads, "gke": gke, "small": small, "soak": soak}
