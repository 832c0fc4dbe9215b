"""An object that is read in place: what comes of it is the same, and little of it is read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import JobError, SourceMissing, Unavailable
from shared.media.media_file import MediaFile
from shared.media.process import MediaProcessor
from shared.operations import Loudness, Operation, Probe, Shots, Thumbnails
from shared.source import RemoteObject, WholeNeeded
from tests.films import Film, make_film
from tests.media import make_audio, make_large_mp4, make_video
from tests.unit.media.conftest import Run


class Storage:
    """A bucket's object, which counts what is read of it."""

    def __init__(self, path: Path, fault: JobError | None = None, after: int = 0) -> None:
        self._data = path.read_bytes()
        self._fault, self._after = fault, after
        self.reads: list[int] = []
        self.object = RemoteObject(len(self._data), self.read_range)

    def read_range(self, start: int, length: int) -> bytes:
        if self._fault is not None and len(self.reads) >= self._after:
            raise self._fault
        self.reads.append(length)
        return self._data[start : start + length]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "operations",
    [(Probe(), Thumbnails(count=3)), (Shots(), Loudness(), Thumbnails(count=30))],
    ids=["glance", "everything"],
)
def test_the_results_are_those_of_a_local_file(
    operations: tuple[Operation, ...], suffix: str, run: Run, speech: Path, tmp_path: Path, out: Path
) -> None:
    source = make_video(tmp_path / f"film{suffix}", seconds=6, speech=speech, faststart=False)
    local = run(source, *operations)
    files = {made.name: (out / made.name).read_bytes() for made in local.artifacts}
    remote = run(Storage(source).object, *operations)
    assert json.dumps(remote.summary) == json.dumps(local.summary)
    assert {made.name: (out / made.name).read_bytes() for made in remote.artifacts} == files


def test_a_glance_at_a_large_film_reads_little_of_it(run: Run, speech: Path, tmp_path: Path) -> None:
    film = Storage(make_large_mp4(tmp_path / "film.mp4", megabytes=60, speech=speech, size=(320, 180)))
    run(film.object, Probe(), Thumbnails(count=1))
    assert sum(film.reads) < 0.05 * film.object.size
    assert len(film.reads) < 20


def _stream(path: Path, speech: Path) -> Path:
    return make_video(path, seconds=40, size=(640, 360), speech=speech)


def _recording(path: Path, speech: Path) -> Path:
    return make_audio(path, seconds=40, speech=speech)


def _live(path: Path, speech: Path) -> Path:
    return make_film(path, Film(path.suffix, "libvpx", seconds=4, muxer={"live": "1"}))


@pytest.mark.parametrize(
    ("suffix", "make", "copies"),
    [(".ts", _stream, 8), (".ogg", _recording, 24), (".aac", _recording, 24), (".webm", _live, 1)],
)
def test_who_cannot_tell_the_length_without_reading_all_asks_for_all_at_once(
    suffix: str, make: Callable[[Path, Path], Path], copies: int, run: Run, speech: Path, tmp_path: Path, out: Path
) -> None:
    source = make(tmp_path / f"film{suffix}", speech)
    source.write_bytes(source.read_bytes() * copies)
    film = Storage(source)
    with pytest.raises(WholeNeeded):
        run(film.object, Probe())
    assert list(out.iterdir()) == []
    assert copies == 1 or sum(film.reads) < 0.25 * film.object.size
    assert run(source, Probe()).summary["probe"]["duration_s"] > 3


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("fault", [SourceMissing("gone"), Unavailable("storage is down")])
def test_faults_of_storage_come_through_as_they_are(
    fault: JobError, after: int, run: Run, speech: Path, tmp_path: Path
) -> None:
    source = make_large_mp4(tmp_path / "film.mp4", megabytes=8, speech=speech, size=(320, 180))
    with pytest.raises(type(fault)) as caught:
        run(Storage(source, fault, after).object, Thumbnails(count=9))
    assert caught.value is fault
    film = Storage(source, fault, after).object
    with pytest.raises(type(fault)) as caught, MediaFile(film) as media:
        for _ in media.from_start().demux():
            pass
    assert caught.value is fault


class Stalled(Storage):
    """Of which one read gets no answer before it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        #: When it was asked, by the monotonic clock.
        self.since: float | None = None
        self.let_go = threading.Event()

    def read_range(self, start: int, length: int) -> bytes:
        if self.reads:
            self.since = time.monotonic()
            assert self.let_go.wait(20)
        return super().read_range(start, length)


class Cancelled(Exception):
    pass


def test_a_cancel_is_seen_while_storage_stalls(
    processor: MediaProcessor, speech: Path, tmp_path: Path, out: Path
) -> None:
    film = Stalled(make_large_mp4(tmp_path / "film.mp4", megabytes=8, speech=speech, size=(320, 180)))

    def cancel(stage: str, percent: float) -> None:
        if film.since is not None:
            raise Cancelled

    with pytest.raises(Cancelled):
        processor.process(film.object, [Thumbnails(count=9)], out, explicit=True, report=cancel)
    assert film.since is not None
    assert time.monotonic() - film.since < 5
    assert len(film.reads) == 1, "the stalled read still waits"
    film.let_go.set()
