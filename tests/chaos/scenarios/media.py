"""Faults 5 and 27: files that are not what they claim, or that kill what opens them. The real engine looks at these."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.catalogue import scenario
from tests.chaos.hub import Hub, own_attempts
from tests.media import make_tone_wav, make_video, truncate


@dataclass(frozen=True)
class _Odd:
    """A file, what is asked of it, and how that must end: a failure's code, or "" for success."""

    part: str
    name: str
    make: Callable[[Path], object]
    operations: list[str]
    code: str


def _film(path: Path, *, seconds: float = 1, fps: int = 5, **asked: Any) -> Path:
    return make_video(path, seconds=seconds, size=(64, 36), fps=fps, **asked)


def _no_moov(path: Path) -> None:
    truncate(_film(path, seconds=2, fps=25, faststart=False), 0.5).replace(path)


def _truncated(path: Path) -> None:
    truncate(_film(path, seconds=10, fps=25), 0.6).replace(path)


def _disguised(path: Path) -> None:
    _film(path.with_suffix(".mp4")).rename(path)


def _no_samples(path: Path) -> None:
    """A header that promises nothing, and keeps that."""
    path.write_bytes(
        b"RIFF\x24\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data\0\0\0\0"
    )


def _uneven(path: Path) -> None:
    """Five thousand pictures in fifteen seconds: a thousand a second at first, and ever fewer."""
    _film(path, seconds=15, times=[10 * (number / 5000) ** 2 + number / 1000 for number in range(5000)])


_ODD = (
    _Odd("zero bytes", "empty.mp4", lambda path: path.write_bytes(b""), ["probe"], "unsupported_media"),
    _Odd("wrong extension", "text.mp4", lambda path: path.write_text("no film\n" * 99), ["probe"], "unsupported_media"),
    _Odd("wrong extension", "film.wav", _disguised, ["probe"], ""),
    _Odd("missing moov", "no-moov.mp4", _no_moov, ["probe"], "undecodable"),
    _Odd("truncated file", "truncated.mp4", _truncated, ["storyboard"], "truncated"),
    _Odd("video without audio", "silent.mp4", _film, ["waveform"], "no_audio_stream"),
    _Odd("audio without video", "sound.wav", make_tone_wav, ["storyboard"], "no_video_stream"),
    _Odd("zero duration", "nothing.wav", _no_samples, ["waveform"], "empty_media"),
    _Odd("variable frame rate with very many frames", "uneven.mp4", _uneven, ["probe", "thumbnails"], ""),
)


@scenario(5, promises=(5, 6), parts=tuple(odd.part for odd in _ODD))
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
    assert (job.failure.code, own_attempts(job) <= 1) == ("too_large", True)


@scenario(5, promises=(1, 5, 6), parts=("larger than the disk",))
def a_file_is_larger_than_the_disk(hub: Hub) -> None:
    """Not than what is allowed: another worker's disk may have room, and after five none is believed in."""
    path = hub.media.long_wav("larger-than-the-disk", 300_000)
    job_id = hub.announced(path=path, operations=["probe"], trouble="small-disk", times=5)
    job = hub.ended(job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code, job.attempts_counted) == ("dead_lettered", "resource_exhausted", 5), job
    assert hub.call("POST", f"/v1/jobs/{job_id}:redrive").status_code == 202
    hub.note(job_id, redrives=1)
    assert hub.ended(job_id).state == "succeeded"


@scenario(27, promises=(5, 6), parts=("decoder",))
def a_file_kills_its_decoder_every_time(hub: Hub) -> None:
    job_id = hub.announced(path=hub.media.mp4, operations=["probe"], trouble="deadly", ends=frozenset({"failed"}))
    job = hub.ended(job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code, job.attempts_counted) == ("failed", "decoder_crashed", 1), job


@scenario(27, promises=(1, 5, 6), parts=("worker",))
def a_file_kills_its_worker_every_time(hub: Hub) -> None:
    job_id = hub.announced(operations=["probe"], trouble="kill", times=5)
    job = hub.ended(job_id)
    assert (job.state, job.attempts_counted) == ("dead_lettered", 5)
    assert job.failure is not None
    assert job.failure.code == "worker_lost"
    assert hub.call("POST", f"/v1/jobs/{job_id}:redrive").status_code == 202
    hub.note(job_id, redrives=1)
    assert hub.ended(job_id).state == "succeeded"
