from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from shared.errors import ProcessingFailed
from shared.media.frames import seek_pictures
from shared.media.media_file import MediaFile
from shared.media.one_pass import decode_once
from shared.media.process import MediaProcessor
from shared.media.sinks import Pictures
from shared.operations import BY_NAME, Loudness, Operation, Shots, Storyboard, Thumbnails, Waveform
from tests.media import bar, make_audio, make_video
from tests.tones import make_tones
from tests.unit.media.conftest import Run


class Viewer:
    """A video sink that remembers what it was shown."""

    def __init__(self, needs: Pictures) -> None:
        self.needs = needs
        self.shown: list[tuple[float, VideoFrame]] = []
        self.is_finished = False

    def add(self, frame: VideoFrame, moment: float) -> None:
        self.shown.append((moment, frame))

    def finish(self) -> None:
        self.is_finished = True

    @property
    def bars(self) -> list[float]:
        return [bar(frame.to_ndarray(format="rgb24")) for _, frame in self.shown]


class SmallViewer:
    """Remembers the small pictures it was shown."""

    def __init__(self, needs: Pictures) -> None:
        self.needs = needs
        self.shown: list[tuple[np.ndarray, VideoFrame]] = []

    def see(self, pixels: np.ndarray, frame: VideoFrame, moment: float) -> None:
        self.shown.append((pixels, frame))

    def finish(self) -> None:
        """Nothing is held back."""


@pytest.fixture
def decoded(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """Frames decoded so far by kind, as the engine's own log says; refreshed by each look."""

    class Counted(Counter[str]):
        def __getitem__(self, kind: str) -> int:
            events = [record for record in caplog.records if getattr(record, "event", "") == "media.decoded"]
            return sum(record.details["frames"].get(kind, 0) for record in events)

    caplog.set_level(logging.DEBUG, "shared.media.decoding")
    return Counted()


def test_all_operations_together_decode_each_stream_once(
    run: Run, speech: Path, tmp_path: Path, decoded: Counter[str]
) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=8, speech=speech)
    every = set(BY_NAME) - {"translate"}  # it writes what `transcribe` writes
    result = run(source, *(BY_NAME[name]() for name in sorted(every)))
    assert set(result.summary) == every
    with av.open(source) as container:
        assert decoded["video"] == sum(1 for _ in container.decode(video=0)) == 200
    with av.open(source) as container:
        assert decoded["audio"] == sum(1 for _ in container.decode(audio=0))


@pytest.mark.parametrize(
    ("operations", "kind"),
    [((Loudness(), Waveform()), "video"), ((Shots(), Storyboard(), Thumbnails()), "audio")],
    ids=["sound", "pictures"],
)
def test_a_stream_that_nobody_asked_for_is_not_decoded(
    operations: tuple[Operation, ...], kind: str, run: Run, speech: Path, tmp_path: Path, decoded: Counter[str]
) -> None:
    run(make_video(tmp_path / "film.mp4", seconds=3, speech=speech), *operations)
    assert decoded[kind] == 0
    assert decoded["audio"] + decoded["video"] > 0


def test_few_pictures_are_sought_and_not_decoded_for(run: Run, tmp_path: Path, decoded: Counter[str]) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=60, fps=10)  # a keyframe every 25 s
    run(source, Thumbnails(seconds=(1.0, 26.0, 51.0)))
    assert 0 < decoded["video"] < 100
    run(source, Thumbnails(seconds=(1.0, 26.0, 51.0)), Shots())
    assert decoded["video"] == pytest.approx(650, abs=50)


def test_a_storyboard_of_keyframes_decodes_little_else(run: Run, tmp_path: Path, decoded: Counter[str]) -> None:
    run(make_video(tmp_path / "film.mov", seconds=40, codec="mjpeg", pix_fmt="yuvj420p"), Storyboard(count=20))
    assert 20 <= decoded["video"] <= 100  # of a thousand


MOMENTS = (0.0, 0.05, 0.4, 1.69, 1.7, 3.4, 3.95, 9.0)


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_passing_and_seeking_show_the_same_pictures(suffix: str, start: float, tmp_path: Path) -> None:
    times = [start + time for time in (0, 0.04, 0.1, 0.5, 1.7, 1.8, 3.5, 3.9)]
    source = make_video(tmp_path / f"film{suffix}", seconds=5, times=times)
    passing, seeking = Viewer(Pictures(moments=MOMENTS)), Viewer(Pictures(moments=MOMENTS))
    with MediaFile(source) as media:
        decode_once(media, {}, {None: [passing]}, lambda fraction: None)
        seek_pictures(media, seeking, lambda fraction: None)
    assert [moment for moment, _ in passing.shown] == [moment for moment, _ in seeking.shown] == list(MOMENTS)
    assert passing.bars == pytest.approx(seeking.bars, abs=0.001)
    assert passing.is_finished
    assert seeking.is_finished


def test_pictures_are_shrunk_once_for_all_that_want_them_so(tmp_path: Path) -> None:
    small = Pictures(size=(64, 36), pixels="gray")
    one, other, whole = SmallViewer(small), SmallViewer(small), Viewer(Pictures())
    with MediaFile(make_video(tmp_path / "film.mp4", seconds=1)) as media:
        decode_once(media, {}, {None: [one, other, whole]}, lambda fraction: None)
    pixels, frame = one.shown[0]
    assert (pixels.shape, pixels.dtype) == ((36, 64), np.uint8)
    assert [id(pixels) for pixels, _ in one.shown] == [id(pixels) for pixels, _ in other.shown]
    assert frame is whole.shown[0][1]
    assert [moment for moment, _ in whole.shown] == pytest.approx(np.arange(25) / 25)
    assert whole.shown[0][1].format.name == "yuv420p"  # never turned into anything else


def test_what_progress_raises_ends_the_pass_at_once(tmp_path: Path, decoded: Counter[str]) -> None:
    class LeaseLostError(Exception):
        pass

    def lose(fraction: float) -> None:
        if fraction > 0.1:
            raise LeaseLostError

    source = make_video(tmp_path / "film.mp4", seconds=20)
    with MediaFile(source) as media, pytest.raises(LeaseLostError):
        decode_once(media, {}, {None: [SmallViewer(Pictures(size=(64, 36)))]}, lose)
    assert 0 < decoded["video"] < 100  # of 500


def test_damaged_pictures_are_a_warning(run: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "film.mp4", seconds=8)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    source.write_bytes(data)
    result = run(source, Shots())
    assert result.summary["shots"]["frames"] > 100
    assert any("damaged video packets were left out" in warning for warning in result.warnings)


@pytest.mark.parametrize("operation", [Loudness(), Waveform()], ids=lambda operation: operation.name)
def test_sound_that_is_mostly_damaged_fails(operation: Operation, run: Run, speech: Path, tmp_path: Path) -> None:
    data = make_audio(tmp_path / "talk.m4a", speech=speech, seconds=12).read_bytes()
    source = tmp_path / "damaged.m4a"
    source.write_bytes(data[:20_000] + b"\xff" * (len(data) // 2) + data[20_000 + len(data) // 2 :])
    with pytest.raises(ProcessingFailed, match=r"decoding the audio failed: .+ \(\d+ of \d+ packets\)$"):
        run(source, operation)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Loudness(), "the file has no audio stream"),
        (Waveform(), "the file has no audio stream"),
        (Storyboard(), "the file has no video stream"),
        (Shots(), "the file has no video stream"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_a_file_is_not_fit_for_is_refused_with_the_reason(
    operation: Operation, reason: str, run: Run, tmp_path: Path
) -> None:
    source = (
        make_video(tmp_path / "film.mp4", seconds=1)
        if "audio" in reason
        else make_tones(tmp_path / "tone.wav", [(1, -20.0)])
    )
    with pytest.raises(ProcessingFailed, match=reason):
        run(source, operation)


@pytest.mark.parametrize("is_slow", [False, True], ids=["as it is", "said again after every message"])
def test_progress_of_a_pass_never_goes_back(
    is_slow: bool, processor: MediaProcessor, speech: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_slow:
        monkeypatch.setattr("shared.media.child.LOOK_SECONDS", 0.0)
    source = make_video(tmp_path / "film.mp4", seconds=4, speech=speech)
    seen: list[tuple[str, float]] = []
    asked = [Shots(), Loudness(), Thumbnails()]
    processor.process(source, asked, out, explicit=True, report=lambda *report: seen.append(report))
    assert list(dict.fromkeys(stage for stage, _ in seen)) == ["check", "decode", "shots", "loudness", "thumbnails"]
    percents = [percent for _, percent in seen]
    assert percents == sorted(percents)
    assert 0 <= percents[0] <= percents[-1] <= 100
