"""What a file is, as its headers and first pictures say: probe.json."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final

import av
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import AttachmentStream, DataStream, Disposition, Stream
from av.video.stream import VideoStream

from shared.media import probe_video
from shared.media.beginnings import beginnings
from shared.media.container import (
    best_audio,
    best_video,
    duration_seconds,
    is_cover_art,
    is_image,
    seconds,
)
from shared.media.media_file import MediaFile
from shared.media.tags import Tags

#: A coding that is not compressed: its bit rate says how many bits a sample has.
_PCM: Final = "pcm_"
#: What an MP4 says in a tag that it must have and has nothing to say in.
_NO_VENDOR: Final = "[0][0][0][0]"
#: An audio book has some hundred.
_MOST_CHAPTERS: Final = 5000


def probe(media: MediaFile, length: float) -> dict[str, Any]:
    """Everything probe.json holds. `length` is the file's real one in seconds, for files that state none."""
    return describe(media.from_start(), size=media.size, length=length, empty=media.empty)


def describe(container: InputContainer, *, size: int, length: float, empty: Set[int] = frozenset()) -> dict[str, Any]:
    """The same of a container that was just opened, and is read on from there; `size` is the file's, in bytes.

    `empty` are the indexes of streams that hold nothing.
    """
    duration = duration_seconds(container)
    # All of the headers first: decoding changes them.
    tags = Tags()
    file_tags = tags.of(container.metadata)
    streams = [_stream(stream, tags) for stream in container.streams]
    chapters = [_chapter(chapter, tags) for chapter in container.chapters()[:_MOST_CHAPTERS]]
    videos = [stream for stream in container.streams.video if stream.codec_context is not None]
    begun = beginnings(container, videos)
    for video in videos:
        streams[video.index] |= probe_video.shown(video, begun[video.index])
    best = {"video": best_video(container, empty), "audio": best_audio(container, empty)}
    return {
        "kind": _kind(container, best["video"]),
        "container": container.format.name,
        "container_long_name": container.format.long_name,
        "duration_s": round(length if duration is None else duration, 6),
        "start_time_s": round((container.start_time or 0) / av.time_base, 6),
        "size_bytes": size,
        "bit_rate": container.bit_rate or None,
        "tags": file_tags,
        **({"tags_cut": True} if tags.are_cut else {}),
        "best_streams": {name: None if stream is None else stream.index for name, stream in best.items()},
        "chapters": chapters,
        "streams": streams,
    }


def _kind(container: InputContainer, pictures: Stream | None) -> str:
    """`image`, `video` or `audio`."""
    if is_image(container):
        return "image"
    return "video" if pictures is not None else "audio"


def _stream(stream: Stream, tags: Tags) -> dict[str, Any]:
    context = stream.codec_context
    told = tags.of({name: text for name, text in stream.metadata.items() if text != _NO_VENDOR})
    facts: dict[str, Any] = {
        "index": stream.index,
        "type": stream.type,
        "codec": _codec(stream),
        "codec_tag": None if context is None else _tag(context),
        "profile": stream.profile,
        "language": None if told.get("language") == "und" else told.get("language"),
        "title": told.get("title"),
        "default": bool(stream.disposition & Disposition.default),
        "forced": bool(stream.disposition & Disposition.forced),
        "attached_pic": is_cover_art(stream),
        "dispositions": [flag.name for flag in Disposition if flag & stream.disposition],
        "time_base": str(stream.time_base) if stream.time_base else None,
        "start_time_s": _rounded(seconds(stream.start_time, stream.time_base)),
        "duration_s": _rounded(seconds(stream.duration, stream.time_base)),
        "frames": stream.frames or None,
        "bit_rate": _bit_rate(stream),
        "tags": told,
    }
    match stream:
        case VideoStream() if context is not None:
            facts |= probe_video.declared(stream)
        case AudioStream() if context is not None:
            facts |= _audio(stream)
        case AttachmentStream():
            facts |= {
                "filename": told.get("filename"),
                "mimetype": told.get("mimetype"),
                "size_bytes": len(stream.data),
            }
        case _:
            pass
    return facts


def _audio(stream: AudioStream) -> dict[str, Any]:
    coding, channels, rate = stream.codec_context.codec.canonical_name, stream.channels, stream.sample_rate
    samples = rate * channels
    pcm_bits = (stream.codec_context.bit_rate or 0) // samples if coding.startswith(_PCM) and samples else None
    return {
        "sample_rate": rate,
        "channels": channels,
        # A WAV file need not say which channel is which; FFmpeg then names but their number.
        "channel_layout": None if stream.layout.name.endswith(" channels") else stream.layout.name,
        "sample_format": stream.format.name if stream.format else None,
        "bit_depth": pcm_bits or None,
    }


def _codec(stream: Stream) -> str | None:
    """The coding, not the decoder: `av1` and not `libdav1d`."""
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    return stream.name if isinstance(stream, DataStream) else None


def _tag(context: CodecContext) -> str | None:
    """The container's name for the codec; None where it is a number: 0x00FF is AAC's in an AVI."""
    try:
        tag: str = context.codec_tag
    except UnicodeDecodeError:
        return None
    return tag if tag.isprintable() else None


def _bit_rate(stream: Stream) -> int | None:
    """What the container says of the stream; Matroska says it in a tag, where it does."""
    stated = getattr(stream.codec_context, "bit_rate", None)
    tag = next((value for name, value in stream.metadata.items() if name.split("-")[0] == "BPS"), "")
    return stated or (int(tag) if tag.isdecimal() else None)


def _chapter(chapter: Any, tags: Tags) -> dict[str, Any]:
    told = tags.of(chapter["metadata"])
    return {
        "start_s": _rounded(seconds(chapter["start"], chapter["time_base"])),
        "end_s": _rounded(seconds(chapter["end"], chapter["time_base"])),
        "title": told.get("title"),
        "tags": told,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
