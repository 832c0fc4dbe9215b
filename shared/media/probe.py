"""What a file is, as its headers and first pictures say: probe.json."""

from __future__ import annotations

from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av import FFmpegError
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from shared.media.container import best_video, duration_seconds, is_cover_art, is_image, open_media, seconds
from shared.media.pictures import Orientation, display_size, orientation

#: AVColorSpace, of which PyAV's own names cover a part.
_COLOR_SPACES: Final = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}
_HDR_TRANSFERS: Final = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})
#: Packets in which a first picture must be found.
_PATIENCE: Final = 1000


def probe(source: Path, length: float) -> dict[str, Any]:
    """Everything probe.json holds. `length` is the file's real one in seconds, for files that state none."""
    with open_media(source) as container:
        duration = duration_seconds(container)
        return {
            "kind": kind(container),
            "container": container.format.name,
            "container_long_name": container.format.long_name,
            "duration_s": round(length if duration is None else duration, 6),
            "start_time_s": round((container.start_time or 0) / av.time_base, 6),
            "size_bytes": source.stat().st_size,
            "bit_rate": container.bit_rate or None,
            "tags": dict(container.metadata),
            "streams": [_stream(source, stream) for stream in container.streams],
        }


def kind(container: InputContainer) -> str:
    """`image`, `video` or `audio`."""
    if is_image(container):
        return "image"
    return "video" if best_video(container) is not None else "audio"


def _stream(source: Path, stream: Stream) -> dict[str, Any]:
    context = stream.codec_context
    facts: dict[str, Any] = {
        "index": stream.index,
        "type": stream.type,
        "codec": context.name if context is not None else None,
        "profile": stream.profile,
        "language": None if stream.language == "und" else stream.language,
        "default": bool(stream.disposition & Disposition.default),
        "attached_pic": bool(stream.disposition & Disposition.attached_pic),
        "start_time_s": _rounded(seconds(stream.start_time, stream.time_base)),
        "duration_s": _rounded(seconds(stream.duration, stream.time_base)),
        "frames": stream.frames or None,
        "tags": dict(stream.metadata),
    }
    if isinstance(stream, VideoStream) and context is not None:
        facts |= _video(stream, _first_frame(source, stream))
    elif isinstance(stream, AudioStream) and context is not None:
        facts |= {
            "bit_rate": context.bit_rate or None,
            "sample_rate": stream.sample_rate,
            "channels": stream.channels,
            "channel_layout": stream.layout.name,
            "sample_format": stream.format.name if stream.format else None,
        }
    return facts


def _video(stream: VideoStream, first: VideoFrame | None) -> dict[str, Any]:
    context = stream.codec_context
    turned = orientation(first) if first is not None else Orientation()
    aspect = stream.sample_aspect_ratio
    width, height = display_size(context.width, context.height, aspect, turned)
    return {
        "bit_rate": context.bit_rate or None,
        "width": context.width,
        "height": context.height,
        "display_width": width,
        "display_height": height,
        "sample_aspect_ratio": _ratio(aspect, ":"),
        "pix_fmt": context.pix_fmt,
        "color_space": _COLOR_SPACES.get(context.colorspace),
        "color_primaries": _named(ColorPrimaries, context.color_primaries),
        "color_transfer": _named(ColorTrc, context.color_trc),
        "hdr": context.color_trc in _HDR_TRANSFERS,
        "frame_rate": _rounded(float(stream.average_rate)) if stream.average_rate else None,
        "frame_rate_ratio": _ratio(stream.average_rate, "/"),
        "rotation": turned.rotation,
        "mirrored": turned.is_mirrored,
        "decodable": first is not None,
    }


def _first_frame(source: Path, stream: VideoStream) -> VideoFrame | None:
    """Rotation travels with the frames; so does the proof that the codec can be decoded."""
    if is_cover_art(stream):
        return None
    with open_media(source) as container:
        same = container.streams[stream.index]
        try:
            for _, packet in zip(range(_PATIENCE), container.demux(same), strict=False):
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame):
                        return frame
        except FFmpegError:
            return None
    return None


def _named(names: type[IntEnum], value: int) -> str | None:
    try:
        name = names(value).name.lower()
    except ValueError:
        return None
    return None if name == "unspecified" else name


def _ratio(value: Fraction | None, sign: str) -> str | None:
    return f"{value.numerator}{sign}{value.denominator}" if value else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
