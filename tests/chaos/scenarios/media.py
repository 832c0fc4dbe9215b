"""Faults 5 and 27: files that are not what they claim, or that kill what opens them. The real engine looks at these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.catalogue import scenario
from tests.chaos.hub import Hub
from tests.media import make_video, truncate


@dataclass(frozen=True)
class _Odd:
    """A file, what is asked of it, and how that must end: a failure's code, or "" for success."""

    name: str
    make: Callable[[Path], object]
    operations: list[str]
    code: str


def _video(**asked: object) -> Callable[[Path], object]:
    return lambda path: make_video(path, **{"seconds": 1, "size": (64, 36), "fps": 5, **asked})  # type: ignore[arg-type]


def _cut(share: float) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        make_video(path, seconds=2, size=(64, 36), fps=25, faststart=share > 0.5)
        data = truncate(path, share).read_bytes()
        path.write_bytes(data)

    return make


def _disguised(path: Path) -> None:
    make_video(path.with_suffix(".mp4"), seconds=1, size=(64, 36), fps=5).rename(path)


_ODD = (
    _Odd("empty.mp4", lambda path: path.write_bytes(b""), ["probe"], "unsupported_media"),
    _Odd("text.mp4", lambda path: path.write_text("no film\n" * 99), ["probe"], "unsupported_media"),
    _Odd("film.wav", _disguised, ["probe"], ""),
    _Odd("no-moov.mp4", _cut(0.5), ["probe"], "undecodable"),
    _Odd("silent.mp4", _video(), ["waveform"], "no_audio_stream"),
    _Odd("uneven.mp4", _video(times=[0.0, 0.001, 0.002, 0.9, 0.95]), ["probe", "thumbnails"], ""),
)


@scenario(5, promises=(5, 6))
def files_are_not_what_they_claim(hub: Hub) -> None:
    ids = []
    for odd in _ODD:
        path = hub.folder / odd.name
        odd.make(path)
        ends = frozenset({"failed" if odd.code else "succeeded"})
        ids.append(hub.announced(path=path, operations=odd.operations, trouble="real", times=9, ends=ends))
    for odd, job_id in zip(_ODD, ids, strict=True):
        job = hub.ended(job_id, within_s=90)
        assert (job.failure.code if job.failure else "") == odd.code, (odd.name, job)
        assert job.attempts_counted <= 1, odd.name


@scenario(5, promises=(5,), is_cheap=True)
def a_file_is_larger_than_a_worker_s_disk_may_hold(hub: Hub) -> None:
    path = hub.folder / "large.wav"
    path.write_bytes(hub.media.wav(0).read_bytes().ljust(hub.cloud.services.settings.max_source_bytes + 1, b"\0"))
    job = hub.ended(hub.announced(path=path, operations=["probe"], ends=frozenset({"failed"})))
    assert job.failure is not None
    assert (job.failure.code, job.attempts_counted <= 1) == ("too_large", True)


@scenario(27, promises=(5, 6))
def a_file_kills_its_decoder_every_time(hub: Hub) -> None:
    job_id = hub.announced(path=hub.media.mp4, operations=["probe"], trouble="deadly", ends=frozenset({"failed"}))
    job = hub.ended(job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code, job.attempts_counted) == ("failed", "decoder_crashed", 1), job


@scenario(27, promises=(1, 5, 6))
def a_file_kills_its_worker_every_time(hub: Hub) -> None:
    job_id = hub.announced(operations=["probe"], trouble="kill", times=5)
    job = hub.ended(job_id)
    assert (job.state, job.attempts_counted) == ("dead_lettered", 5)
    assert job.failure is not None
    assert job.failure.code == "worker_lost"
    assert hub.call("POST", f"/v1/jobs/{job_id}:redrive").status_code == 202
    hub.note(job_id, redrives=1)
    assert hub.ended(job_id).state == "succeeded"
