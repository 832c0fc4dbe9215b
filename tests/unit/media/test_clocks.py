"""Sound keeps to its clock: where that jumps, lags or runs ahead of the samples, every sound stands at its own time."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.media.sound_file import SoundFile, read_sound
from shared.operations import Shots, Thumbnails, Waveform
from tests.films import Film, make_film
from tests.media import FORMATS, bar
from tests.scenes import make_scenes
from tests.unit.media.conftest import Run
from tests.unit.media.test_matrix import B_FRAMES, POINTS, heard

RATE = 16_000
#: Samples of a packet, and every so many packets one is loud.
STEP, LOUD = 320, 100


def _clicks(path: Path, times: Iterable[float]) -> Path:
    """Sound in packets of 20 ms at these times, of which every hundredth clicks."""
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for index, time in enumerate(times):
            level = 20_000 if index % LOUD == 0 else 0
            samples = np.full((1, STEP), level, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), round(time * RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _without(kind: str, whole: Path, path: Path, begins: float, ends: float) -> Path:
    """The same film without the packets of one kind from one time to the other."""
    with av.open(whole) as source, av.open(path, "w", format=FORMATS.get(path.suffix)) as film:
        streams = {stream.index: film.add_stream_from_template(stream) for stream in source.streams}
        origin = (source.start_time or 0) / av.time_base
        for packet in source.demux():
            is_cut = packet.stream.type == kind
            if packet.dts is None or (is_cut and begins <= float(packet.pts * packet.time_base) - origin < ends):
                continue
            packet.stream = streams[packet.stream.index]
            film.mux(packet)
    return path


def _heard(out: Path) -> list[float]:
    """When each click begins."""
    points = np.abs(np.array(json.loads((out / "waveform.json").read_text())["data"])).reshape(-1, 2).max(axis=1)
    loud = np.flatnonzero(points > 10_000)
    return [float(loud[0] / POINTS), *(float(b / POINTS) for a, b in pairwise(loud) if b > a + 1)]


def test_sound_that_begins_late_in_a_live_recording_stays_late(run: Run, tmp_path: Path, out: Path) -> None:
    film = Film(".webm", "libvpx-vp9", seconds=1.0, audio_start=1.0, muxer={"live": "1"})
    run(make_film(tmp_path / "film.webm", film), Waveform(pixels_per_second=POINTS))
    begins, ends = (time + 1.0 for time in film.beep)
    assert heard(out) == pytest.approx((begins, ends), abs=0.05)


@pytest.mark.parametrize("speed", [0.97, 0.99, 1.01])
def test_a_clock_that_drifts_is_followed(speed: float, run: Run, tmp_path: Path, out: Path) -> None:
    times = [index * STEP / RATE * speed for index in range(1000)]
    result = run(_clicks(tmp_path / "film.mka", times), Waveform(pixels_per_second=POINTS))
    assert _heard(out) == pytest.approx(times[::LOUD], abs=0.13)
    said = "overlaps for" if speed < 1 else "is missing for"
    assert any(said in warning for warning in result.warnings)


def _mkv_states(data: bytes, seconds: float) -> bytes:
    """Its Duration, a float of milliseconds, says so."""
    at = data.index(b"\x44\x89\x88") + 3
    return data[:at] + struct.pack(">d", seconds * 1000) + data[at + 8 :]


def _flv_states(data: bytes, seconds: float) -> bytes:
    at = data.index(b"\x00\x08duration\x00") + 11
    return data[:at] + struct.pack(">d", seconds) + data[at + 8 :]


@pytest.mark.parametrize(
    ("film", "states"),
    [
        (Film(".mkv", seconds=30), _mkv_states),
        (Film(".flv", seconds=30, audio="libmp3lame", rate=44_100), _flv_states),
    ],
    ids=["mkv", "flv"],
)
def test_a_hole_behind_the_end_that_the_header_states_is_filled(
    film: Film, states: Callable[[bytes, float], bytes], run: Run, tmp_path: Path, out: Path
) -> None:
    whole = make_film(tmp_path / f"whole{film.suffix}", film)
    source = _without("audio", whole, tmp_path / f"film{film.suffix}", 8, 14)
    source.write_bytes(states(source.read_bytes(), 5.0))
    result = run(source, Waveform(pixels_per_second=POINTS))
    assert heard(out) == pytest.approx(film.beep, abs=0.08)
    assert result.media_seconds == pytest.approx(film.seconds, abs=0.1)
    assert [warning[:29] for warning in result.warnings] == ["sound is missing for 6.0 s in"]


def test_a_clock_that_begins_anew_loses_no_sound(run: Run, tmp_path: Path, out: Path) -> None:
    source = make_film(tmp_path / "film.ts", Film(".ts", None, seconds=4, after=lambda data: data * 2))
    result = run(source, Waveform(pixels_per_second=POINTS))
    assert result.warnings == ()
    assert len(_heard(out)) == 2


def _joined(path: Path, *films: Path) -> Path:
    path.write_bytes(b"".join(film.read_bytes() for film in films))
    return path


def test_a_hole_in_what_was_joined_on_is_filled(run: Run, tmp_path: Path, out: Path) -> None:
    film = Film(".ts", seconds=30, options=B_FRAMES)
    holed = _without("audio", make_film(tmp_path / "whole.ts", film), tmp_path / "holed.ts", 8, 14)
    first = make_film(tmp_path / "first.ts", Film(".ts", seconds=6, options=B_FRAMES))
    result = run(_joined(tmp_path / "film.ts", first, holed), Waveform(pixels_per_second=POINTS))
    assert _heard(out) == pytest.approx([3.02, 6 + 15.06], abs=0.06)
    assert [warning[:29] for warning in result.warnings] == ["sound is missing for 6.0 s in"]
    assert result.media_seconds == pytest.approx(36.1, abs=0.1)


@pytest.mark.parametrize(
    ("pictures", "sound"), [(6.0, 4.0), (4.0, 6.0)], ids=["sound ends first", "pictures end first"]
)
def test_what_was_joined_on_begins_behind_the_later_end(
    pictures: float, sound: float, run: Run, tmp_path: Path, out: Path
) -> None:
    first = _ends_at(tmp_path / "first.ts", pictures, sound)
    beep = make_film(tmp_path / "beep.ts", Film(".ts", None, seconds=4))  # at 2 s
    second = _with_sound_of(make_scenes(tmp_path / "scenes.ts", [50], frames=100), beep, tmp_path / "second.ts")
    film = _joined(tmp_path / "film.ts", first, second)
    result = run(film, Shots(), Waveform(pixels_per_second=POINTS))
    cuts = json.loads((out / "shots.json").read_text())["cuts"]
    together = (cuts[-1], _heard(out)[-1])
    assert together == pytest.approx((8.04, 8.04), abs=0.06)
    run(film, Waveform(pixels_per_second=POINTS))  # whether or not somebody looks at the pictures
    assert _heard(out)[-1] == pytest.approx(together[1], abs=0.011)
    run(film, Shots())
    assert json.loads((out / "shots.json").read_text())["cuts"] == cuts
    assert result.media_seconds == pytest.approx(10.1, abs=0.1)


def _ends_at(path: Path, pictures: float, sound: float) -> Path:
    """A film whose sound and pictures end at these times."""
    longest = max(pictures, sound)
    whole = make_film(path.with_stem("longest"), Film(".ts", seconds=longest, options=B_FRAMES))
    if sound < longest:
        return _without("audio", whole, path, sound, longest + 1)
    return make_film(path, Film(".ts", seconds=sound, times=[index / 25 for index in range(round(pictures * 25))]))


def _with_sound_of(pictures: Path, sound: Path, path: Path) -> Path:
    with av.open(pictures) as seen, av.open(sound) as listened, av.open(path, "w", format="mpegts") as film:
        streams = {each: film.add_stream_from_template(each) for each in (seen.streams[0], listened.streams[0])}
        packets = [packet for each in (seen, listened) for packet in each.demux() if packet.dts is not None]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = streams[packet.stream]
            film.mux(packet)
    return path


@pytest.mark.parametrize(("first", "second"), [(0, 3600), (3600, 0)], ids=["ahead", "behind"])
def test_sought_pictures_of_joined_recordings_are_those_of_the_pass(
    first: int, second: int, run: Run, tmp_path: Path, out: Path
) -> None:
    starts = {"video_start": first, "audio_start": first}
    short = [index / 25 for index in range(100)]
    before = make_film(tmp_path / "before.ts", Film(".ts", seconds=6, times=short, **starts))
    starts = {"video_start": second, "audio_start": second}
    after = make_film(tmp_path / "after.ts", Film(".ts", seconds=6, options=B_FRAMES, **starts))
    film = _joined(tmp_path / "film.ts", before, after)
    thumbnails = Thumbnails(seconds=(1.0, 5.0, 7.0, 11.0))
    seen = []
    for operations in ((thumbnails,), (thumbnails, Shots())):
        run(film, *operations)
        seen.append([bar(np.asarray(Image.open(out / f"thumbnails/{number:04}.jpg"))) for number in (1, 2, 3, 4)])
    assert seen[0] == pytest.approx(seen[1], abs=0.01)
    assert seen[0] == pytest.approx([1 / 6, 3.96 / 6, 1 / 6, 5 / 6], abs=0.03)


@pytest.mark.parametrize(("first", "second"), [(0, 3600), (3600, 0)], ids=["ahead", "behind"])
def test_hours_between_the_clocks_of_joined_recordings_are_no_silence(
    first: int, second: int, run: Run, tmp_path: Path, out: Path
) -> None:
    films = [
        make_film(
            tmp_path / f"{start}.ts", Film(".ts", seconds=6, options=B_FRAMES, video_start=start, audio_start=start)
        )
        for start in (first, second)
    ]
    result = run(_joined(tmp_path / "film.ts", *films), Waveform(pixels_per_second=POINTS), Shots())
    assert _heard(out) == pytest.approx([3.02, 9.06], abs=0.06)
    assert (result.media_seconds, result.warnings) == (pytest.approx(12.07, abs=0.05), ())
    shots = json.loads((out / "shots.json").read_text())["shots"]
    assert shots[-1]["end"] == pytest.approx(12.07, abs=0.06)


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_a_minute_without_one_stream_is_no_joint(kind: str, run: Run, tmp_path: Path, out: Path) -> None:
    whole = make_film(tmp_path / "whole.ts", Film(".ts", seconds=140, fps=5))
    source = _without(kind, whole, tmp_path / "film.ts", 5, 66)
    result = run(source, Waveform(pixels_per_second=POINTS))
    assert heard(out) == pytest.approx((70.0, 105.0), abs=0.1)
    assert result.media_seconds == pytest.approx(140, abs=0.1)


def test_pictures_whose_clock_begins_anew_go_on(run: Run, tmp_path: Path, out: Path) -> None:
    scenes = make_scenes(tmp_path / "once.ts", [50], frames=100)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(scenes.read_bytes() * 2)
    result = run(joined, Shots(), Thumbnails(seconds=(1.0, 3.0, 5.0, 7.0)))
    assert (result.media_seconds, result.warnings) == (pytest.approx(8.0, abs=0.1), ())
    found = json.loads((out / "shots.json").read_text())
    assert found["cuts"] == pytest.approx([2.0, 4.0, 6.0], abs=0.1)
    assert all(shot["start"] < shot["end"] for shot in found["shots"])
    seen = [_shown(out / f"thumbnails/000{number}.jpg") for number in (1, 2, 3, 4)]
    assert [np.abs(seen[0] - each).mean() < 5 for each in seen] == [True, False, True, False]
    run(joined, Thumbnails(seconds=(5.0, 7.0)))  # sought, where there is nothing else to do
    assert [np.abs(seen[0] - _shown(out / f"thumbnails/000{number}.jpg")).mean() < 5 for number in (1, 2)] == [
        True,
        False,
    ]


def _shown(path: Path) -> NDArray[np.float32]:
    return np.asarray(Image.open(path), np.float32)


def test_silence_of_hours_takes_no_room_on_the_disk(tmp_path: Path) -> None:
    hours = 6 * 3600
    sound = SoundFile(tmp_path, None)
    frame = av.AudioFrame.from_ndarray(np.full((1, STEP), 20_000, np.int16), format="s16", layout="mono")
    frame.sample_rate = RATE
    sound.add(frame)
    sound.fill(hours)
    sound.add(frame)
    sound.fill(hours + 1)
    sound.finish()
    sound.close()
    samples = read_sound(tmp_path, None).samples
    assert len(samples) == (hours + 1) * RATE
    assert samples[STEP - 1] == samples[hours * RATE] == 20_000
    assert samples[STEP] == samples[hours * RATE - 1] == samples[-1] == 0
    assert sum(file.stat().st_blocks for file in tmp_path.iterdir()) * 512 < 1_000_000
