"""probe.json says what ffprobe says, field by field; where it does not, the table says why."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.assets import Assets
from shared.operations import Probe
from tests.annotated import make_annotated
from tests.films import Film, make_film
from tests.media import make_audio, make_video
from tests.unit.media.conftest import Run
from tests.unit.media.test_probe import HDR10, UNEVEN

Facts = dict[str, Any]
#: Our name of a field, and how to find it in what ffprobe says.
Fields = dict[str, Callable[[Facts], Any]]

FORMAT: Fields = {
    "container": lambda theirs: theirs["format_name"],
    "container_long_name": lambda theirs: theirs["format_long_name"],
    "duration_s": lambda theirs: _seconds(theirs, "duration"),
    "start_time_s": lambda theirs: _seconds(theirs, "start_time"),
    "size_bytes": lambda theirs: int(theirs["size"]),
    "bit_rate": lambda theirs: _number(theirs, "bit_rate"),
    "tags": lambda theirs: theirs.get("tags", {}),
}
STREAM: Fields = {
    "index": lambda theirs: theirs["index"],
    "type": lambda theirs: theirs["codec_type"],
    "codec": lambda theirs: theirs.get("codec_name"),
    # ffprobe writes bytes that are no letters as [0]; a tag of such is none.
    "codec_tag": lambda theirs: None if "[" in theirs["codec_tag_string"] else theirs["codec_tag_string"],
    "profile": lambda theirs: theirs.get("profile"),
    # `und` is how a file says that it does not say.
    "language": lambda theirs: theirs.get("tags", {}).get("language", "und").replace("und", "") or None,
    "title": lambda theirs: theirs.get("tags", {}).get("title"),
    "default": lambda theirs: bool(theirs["disposition"]["default"]),
    "forced": lambda theirs: bool(theirs["disposition"]["forced"]),
    "attached_pic": lambda theirs: bool(theirs["disposition"]["attached_pic"]),
    "dispositions": lambda theirs: [name for name, is_set in theirs["disposition"].items() if is_set],
    "time_base": lambda theirs: theirs["time_base"],
    "start_time_s": lambda theirs: _seconds(theirs, "start_time"),
    "duration_s": lambda theirs: _seconds(theirs, "duration"),
    "frames": lambda theirs: _number(theirs, "nb_frames"),
    "bit_rate": lambda theirs: _number(theirs, "bit_rate"),
    # A vendor id of an MP4 that names nobody.
    "tags": lambda theirs: {name: text for name, text in theirs.get("tags", {}).items() if text != "[0][0][0][0]"},
}
VIDEO: Fields = {
    "width": lambda theirs: theirs["width"],
    "height": lambda theirs: theirs["height"],
    "sample_aspect_ratio": lambda theirs: theirs.get("sample_aspect_ratio"),
    # -99 is unknown.
    "level": lambda theirs: None if theirs["level"] < 0 else theirs["level"],
    "has_b_frames": lambda theirs: bool(theirs["has_b_frames"]),
    "field_order": lambda theirs: theirs.get("field_order"),
    "pix_fmt": lambda theirs: theirs["pix_fmt"],
    "color_range": lambda theirs: theirs.get("color_range"),
    "color_space": lambda theirs: theirs.get("color_space"),
    "color_transfer": lambda theirs: theirs.get("color_transfer"),
    "color_primaries": lambda theirs: theirs.get("color_primaries"),
    "frame_rate_ratio": lambda theirs: None if theirs["avg_frame_rate"] == "0/0" else theirs["avg_frame_rate"],
    "base_frame_rate_ratio": lambda theirs: theirs["r_frame_rate"],
    # Counter-clockwise there, as the display matrix has it; clockwise here, as EXIF and players do.
    "rotation": lambda theirs: next((-data["rotation"] % 360 for data in _side_data(theirs, "rotation")), 0),
    "mastering_display": lambda theirs: next(map(_mastering, _side_data(theirs, "red_x")), None),
    "content_light_level": lambda theirs: next(map(_light, _side_data(theirs, "max_content")), None),
}
AUDIO: Fields = {
    "sample_rate": lambda theirs: int(theirs["sample_rate"]),
    "channels": lambda theirs: theirs["channels"],
    "channel_layout": lambda theirs: theirs.get("channel_layout"),
    "sample_format": lambda theirs: theirs["sample_fmt"],
}

GENERATED: dict[str, Callable[[Path, Path], Path]] = {
    "h264.mp4": lambda path, speech: make_video(path, seconds=1, speech=speech),
    "rotated.mov": lambda path, _: make_film(path, Film(".mov", rotation=90)),
    "hdr10.mp4": lambda path, _: make_film(path, HDR10),
    "hevc.mkv": lambda path, _: make_film(path, Film(".mkv", "libx265", audio="ac3", layout="5.1")),
    "full.mp4": lambda path, _: make_film(path, Film(colors=(2, 1, 1, 1), options={"preset": "medium", "bf": "3"})),
    "av1.mp4": lambda path, _: make_film(path, Film(codec="libsvtav1", seconds=1.0, pix_fmt="yuv420p10le")),
    "vp9.webm": lambda path, _: make_film(path, Film(".webm", "libvpx-vp9", seconds=1.0, audio=None)),
    "prores.mov": lambda path, _: make_film(path, Film(".mov", "prores_ks", "pcm_s16le", pix_fmt="yuv422p10le")),
    "mpeg2.ts": lambda path, _: make_film(path, Film(".ts", "mpeg2video", "mp2", options={"bf": "2"})),
    "mpeg4.avi": lambda path, _: make_film(path, Film(".avi", "mpeg4")),
    "aac.avi": lambda path, _: make_film(path, Film(".avi", "mpeg4", "aac")),
    "bluray.m2ts": lambda path, _: make_film(path, Film(".m2ts", audio="pcm_bluray")),
    "uneven.mp4": lambda path, _: make_film(path, Film(times=UNEVEN)),
    "late.mp4": lambda path, _: make_film(path, Film(video_start=1.48, audio_start=1.0)),
    "annotated.mkv": lambda path, _: make_annotated(path),
    "cover.mp3": lambda path, speech: make_audio(path, speech=speech, seconds=2, cover=True),
    "talk.m4a": lambda path, speech: make_audio(path, speech=speech, seconds=2),
    "talk.flac": lambda path, speech: make_audio(path, speech=speech, seconds=2),
    "talk.wav": lambda path, speech: make_audio(path, speech=speech, seconds=2),
}

PRIMING = "5.1 begins with an encoder's priming and ends with its padding, neither of which is ever heard"
FROM_START = "5.1 counts the length of an MP4 from zero and not from its start"
NO_START = "here, what has no start starts at 0: times count from there"
SUBTITLES = "5.1 lets subtitles lengthen an MP4"
#: The deliberate differences: most are what FFmpeg 8, inside PyAV, knows better than Debian's 5.1.
EXPLAINED: dict[tuple[str, str], str] = {
    ("hevc.mkv", "start_time_s"): PRIMING,
    ("cover.mp3", "duration_s"): PRIMING,
    ("cover.mp3", "bit_rate"): PRIMING,
    ("late.mp4", "duration_s"): FROM_START,
    ("late.mp4", "bit_rate"): FROM_START,
    ("talk.wav", "start_time_s"): NO_START,
    ("speech", "start_time_s"): NO_START,
    ("nasa_13013.mp4", "duration_s"): SUBTITLES,
    ("nasa_13013.mp4", "bit_rate"): SUBTITLES,
    ("av1.mp4", "sample_aspect_ratio"): "5.1 does not read it from AV1",
    ("prores.mov", "field_order"): "5.1 does not read it from ProRes",
}


@pytest.fixture(scope="session")
def ffprobe() -> Callable[[Path], Facts]:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("no ffprobe command to compare with")

    def ask(source: Path) -> Facts:
        def show(*what: str) -> Facts:
            command = [program, "-v", "error", "-of", "json", *what, str(source)]
            return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

        said = show("-show_format", "-show_streams", "-show_chapters")
        # What FFmpeg reads from the pictures stands with the pictures there.
        frames = show("-show_frames", "-read_intervals", "%+#1").get("frames", [])
        for stream in said["streams"]:
            first = next((frame for frame in frames if frame.get("stream_index") == stream["index"]), {})
            stream["side_data_list"] = stream.get("side_data_list", []) + first.get("side_data_list", [])
        return said

    return ask


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files(name: str, run: Run, ffprobe: Callable[[Path], Facts], speech: Path, tmp_path: Path) -> None:
    source = GENERATED[name](tmp_path / name, speech)
    assert list(_differences(name, run(source, Probe()).summary["probe"], ffprobe(source))) == []


@pytest.mark.parametrize("name", ["speech", "demo"])
def test_real_files(name: str, run: Run, ffprobe: Callable[[Path], Facts], assets: Assets) -> None:
    source = getattr(assets, name)
    assert list(_differences(name, run(source, Probe()).summary["probe"], ffprobe(source))) == []


@pytest.mark.parametrize("name", ["jfk.flac", "nasa_13013.mp4"])
def test_recordings(name: str, run: Run, ffprobe: Callable[[Path], Facts], recording) -> None:  # type: ignore[no-untyped-def]
    source = recording(name)
    assert list(_differences(name, run(source, Probe()).summary["probe"], ffprobe(source))) == []


def _differences(name: str, ours: Facts, theirs: Facts) -> Iterator[str]:
    yield from _compare(name, "format", FORMAT, ours, theirs["format"])
    chapters = [
        {"start_s": _seconds(each, "start_time"), "end_s": _seconds(each, "end_time"), "tags": each.get("tags", {})}
        for each in theirs["chapters"]
    ]
    if [{key: each[key] for key in ("start_s", "end_s", "tags")} for each in ours["chapters"]] != chapters:
        yield f"chapters: {ours['chapters']} is {chapters} there"
    if len(ours["streams"]) != len(theirs["streams"]):
        yield f"{len(ours['streams'])} streams are {len(theirs['streams'])} there"
    for mine, other in zip(ours["streams"], theirs["streams"], strict=False):
        kind = mine["type"]
        fields = STREAM | ({"video": VIDEO, "audio": AUDIO}.get(kind) or {})
        yield from _compare(name, f"{kind} {mine['index']}", fields, mine, other)


def _compare(name: str, where: str, fields: Fields, ours: Facts, theirs: Facts) -> Iterator[str]:
    for field, of in fields.items():
        mine, other = ours[field], of(theirs)
        is_same = mine == (pytest.approx(other, abs=2e-6) if isinstance(other, float) else other)
        if not is_same and (name, field) not in EXPLAINED:
            yield f"{where} {field}: {mine!r} is {other!r} there"


def _seconds(theirs: Facts, name: str) -> float | None:
    return float(theirs[name]) if name in theirs else None


def _number(theirs: Facts, name: str) -> int | None:
    return int(theirs[name]) if name in theirs else None


def _side_data(theirs: Facts, key: str) -> Iterator[Facts]:
    return (data for data in theirs["side_data_list"] if key in data)


def _mastering(data: Facts) -> Any:
    names = {"white_x": "white_point_x", "white_y": "white_point_y"}
    ours = [f"{color}_{axis}" for color in ("red", "green", "blue", "white") for axis in "xy"]
    fractions = {name: data[names.get(name, name)] for name in [*ours, "min_luminance", "max_luminance"]}
    numbers = {name: int(text.split("/")[0]) / int(text.split("/")[1]) for name, text in fractions.items()}
    return pytest.approx(numbers)


def _light(data: Facts) -> Facts:
    return {"max_cll": data["max_content"], "max_fall": data["max_average"]}
