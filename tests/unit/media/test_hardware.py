"""The GPU's decoder, and who takes its place where there is none."""

from __future__ import annotations

import errno
import gc
import logging
import resource
from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
import torch
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from local.assets import Assets
from shared.errors import ProcessingFailed
from shared.media import hardware
from shared.media.analysis import analyse
from shared.media.artifacts import ArtifactFolder
from shared.media.limits import DecodeLimits
from shared.media.media_file import MediaFile
from shared.media.messages import Done, Looked, Message
from shared.media.one_pass import decode_once
from shared.media.shots import ShotFinder
from shared.media.sound_file import read_sound
from shared.media.task import Task, goes_through_pictures
from shared.operations import Fingerprint, Loudness, Operation, Shots, Storyboard, Thumbnails, Transcribe
from tests.films import Film, make_film
from tests.scenes import make_scenes
from tests.unit.media import bad_sinks
from tests.unit.media.bad_sinks import BadProcessor

SIZE = (64, 36)


def _picture(form: str, color_range: ColorRange) -> av.VideoFrame:
    down, across = np.mgrid[0:360, 0:640]
    gray = (120 + 90 * np.sin(across / 40) * np.cos(down / 25) + (across + down) % 7).clip(0, 255).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(gray, format="gray")
    return frame.reformat(format=form, src_color_range=ColorRange.JPEG, dst_color_range=color_range)


@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("form", ["nv12", "p010le"])
def test_luma_is_the_same_by_torch_as_by_swscale(form: str, color_range: ColorRange) -> None:
    frame = _picture(form, color_range)
    expected = frame.reformat(*SIZE, format="gray", interpolation="AREA").to_ndarray()
    found = hardware.shrunk_luma(frame, SIZE)
    assert (found.shape, found.dtype) == ((36, 64), np.uint8)
    assert np.abs(found.astype(int) - expected).max() <= 2
    assert np.ptp(found) > 150


def test_a_frame_in_memory_is_not_on_the_device() -> None:
    frame = _picture("nv12", ColorRange.MPEG)
    assert not hardware.is_on_device(frame)
    assert not hardware.holds(frame)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_device_the_pass_is_done_by_the_cpu(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = make_scenes(tmp_path / "film.mp4", [30], frames=60)
    finder = ShotFinder(Shots(), (0.0, 2.4), None)  # type: ignore[arg-type]
    with MediaFile(film, hardware=True) as media, caplog.at_level(logging.WARNING):
        assert decode_once(media, {}, {None: [finder]}, lambda fraction: None) == ()
        assert media.decoder == "cpu"
    assert [shot.first for shot in finder.found()] == [0, 30]
    assert [record.event for record in caplog.records] == ["media.no_hardware"]


class _Alone:
    """Who hears nothing and wants everything."""

    def say(self, message: Message) -> None:
        pass

    def show(self, looked: Looked) -> tuple[str, ...]:
        return looked.operations

    def at(self, stage: str, fraction: float) -> None:
        pass


class _BadDevice(MediaFile):
    """Its GPU decodes some of the pictures, and fails: for all that follows, or at one packet."""

    is_at_work = False

    def __init__(self, source: Path, failing: Callable[[InputContainer], object]) -> None:
        super().__init__(source, hardware=True)
        self._failing = failing

    def for_all_pictures(self, numbers: Collection[int | None]) -> InputContainer:
        container = self.from_start()
        _BadDevice.is_at_work = self.hardware
        return cast(InputContainer, self._failing(container)) if self.hardware else container

    def is_on_hardware(self, stream: VideoStream) -> bool:
        return self.hardware


class _Failing:
    def __init__(self, error: type[Exception], container: InputContainer) -> None:
        self._error, self._container = error, container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, streams: list[Stream]) -> Iterator[Packet[Stream]]:
        yield from islice(self._container.demux(streams), 20)
        raise self._error(errno.ENOMEM, "no surface left")


class _FailingLate(_Failing):
    def demux(self, streams: list[Stream]) -> Iterator[Packet[Stream]]:
        for packet in self._container.demux(streams):
            if not packet.size:  # the last
                raise self._error("CUDA error: out of memory")
            yield packet


class _FailingAtOnePacket(_Failing):
    def demux(self, streams: list[Stream]) -> Iterator[Packet[Stream]]:
        for index, packet in enumerate(self._container.demux(streams)):
            yield cast("Packet[Stream]", _Refused(packet, self._error)) if index == 20 else packet


class _Refused:
    def __init__(self, packet: Packet[Stream], error: type[Exception]) -> None:
        self._packet, self._error = packet, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._packet, name)

    def decode(self) -> list[av.VideoFrame]:
        raise self._error(errno.EIO, "CUDA_ERROR_ILLEGAL_ADDRESS")


def _analyse(media: MediaFile, operations: list[Operation], folder: Path) -> Done:
    """In this process, whose limit of CPU time it leaves as it was."""
    limits = resource.getrlimit(resource.RLIMIT_CPU)
    # More than this one, which runs many tests, may have used by now.
    limits_of_task = DecodeLimits(cpu_seconds=86_400)
    task = Task(Path("film"), operations, folder, folder, None, limits_of_task, threads=1, hardware=True)
    try:
        with media:
            return analyse(media, task, ArtifactFolder(folder), _Alone())
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, limits)


@pytest.fixture
def _on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libav decodes passes for the GPU's own."""
    monkeypatch.setattr(hardware, "is_on_device", lambda frame: _BadDevice.is_at_work)


@pytest.mark.usefixtures("_on_device")
@pytest.mark.parametrize("error", [av.error.MemoryError, MemoryError, RuntimeError])
def test_what_the_gpu_fails_at_is_done_again_by_the_cpu(
    error: type[Exception], assets: Assets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_scenes(tmp_path / "film.mp4", [30], frames=60)
    done = _analyse(_BadDevice(film, partial(_Failing, error)), [Shots(), Fingerprint()], tmp_path)
    assert (done.decoder, done.warnings) == ("cpu", ())
    assert done.summary["shots"]["frames"] == 60
    assert [record.event for record in caplog.records] == ["media.no_hardware"]


@pytest.mark.usefixtures("_on_device")
def test_one_packet_that_the_gpu_refuses_costs_no_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = make_scenes(tmp_path / "film.mp4", [30], frames=60)
    done = _analyse(_BadDevice(film, partial(_FailingAtOnePacket, av.error.OSError)), [Shots()], tmp_path)
    assert (done.decoder, done.warnings, done.summary["shots"]["frames"]) == ("cpu", (), 60)
    assert [record.event for record in caplog.records] == ["media.no_hardware"]


@pytest.mark.usefixtures("_on_device")
def test_what_was_half_done_is_neither_listed_twice_nor_written_over(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", Film(".mkv", "libx264", seconds=8.0))
    operations: list[Operation] = [Shots(), Thumbnails(count=2), Transcribe()]
    done = _analyse(_BadDevice(film, partial(_FailingLate, RuntimeError)), operations, tmp_path)
    names = [made.name for made in done.artifacts]
    assert names == ["thumbnails/0001.jpg", "thumbnails/0002.jpg", "shots.json"]
    gc.collect()  # of a file that was left open, what it still held is written then
    sound = read_sound(tmp_path, None)
    assert sound.seconds == pytest.approx(8.0, abs=0.1)
    assert np.abs(sound.samples[-4000:]).max() < 200


def test_a_stream_that_the_hardware_only_seems_to_take_is_decoded_by_the_cpu(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_scenes(tmp_path / "film.mp4", [30], frames=60)
    done = _analyse(_BadDevice(film, lambda container: container), [Shots()], tmp_path)
    assert (done.decoder, done.warnings, done.summary["shots"]["frames"]) == ("cpu", (), 60)
    assert "does not take this video" in caplog.records[0].details["error"]


def test_what_no_hardware_takes_has_all_threads_and_a_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = make_film(tmp_path / "film.mov", Film(".mov", "prores_ks", audio="pcm_s16le", pix_fmt="yuv422p10le"))
    told: list[str] = []
    caplog.set_level(logging.INFO)
    with MediaFile(film, threads=3, hardware=True, without_hardware=lambda: told.append("limited")) as media:
        [stream] = media.for_all_pictures([None]).streams.video
        assert (media.hardware, stream.codec_context.thread_count) == (False, 3)
        media.for_all_pictures([None])
    assert told == ["limited"]
    assert [(record.event, record.details["codecs"]) for record in caplog.records] == [
        ("media.no_hardware", ["prores"])
    ]


class _WithDriver(BadProcessor):
    """Takes it that there is a GPU."""

    def __init__(self, how: Callable[..., None]) -> None:
        super().__init__(how, limits=DecodeLimits(memory_bytes=2**29))
        self._hardware = True


def test_a_child_that_does_without_the_gpu_has_a_limit_of_memory(tmp_path: Path, out: Path) -> None:
    film = make_film(tmp_path / "film.mov", Film(".mov", "prores_ks", audio="pcm_s16le", pix_fmt="yuv422p10le"))
    with pytest.raises(ProcessingFailed, match="more memory than a decoder may have"):
        _WithDriver(bad_sinks.reserve_a_gigabyte).process(
            film, [Shots()], out, explicit=True, report=lambda stage, percent: None
        )


def test_only_what_goes_through_all_pictures_sets_the_gpu_up() -> None:
    assert goes_through_pictures([Loudness(), Shots()])
    assert goes_through_pictures([Thumbnails(per="shot")])
    assert not goes_through_pictures([Loudness(), Thumbnails(), Storyboard(), Transcribe()])
