"""Opening a media file, and which of its streams count.

The content decides what a file is: it is opened without its name, by demuxers that read nothing but this file
(a playlist that somebody uploads as `a.mp4` must not make this machine open other files or addresses).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from fractions import Fraction
from typing import Final, TypeVar

import av
from av import FFmpegError
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from shared.errors import JobError, ProcessingFailed
from shared.media import boxes
from shared.media.verdict import out_of_memory
from shared.source import RemoteObject, Source, open_source, size_of

_Stream = TypeVar("_Stream", AudioStream, VideoStream)

#: Self-contained formats. Left out on purpose: hls, dash, concat, sdp, image2 and whatever else opens other files.
_DEMUXERS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,mxf,gxf,ogg,nut,rm,dv,ivf,wtv,"
    "h264,hevc,av1,obu,m4v,mpegvideo,mjpeg,h263,vc1,yuv4mpegpipe,"
    "mp3,aac,flac,wav,w64,aiff,au,caf,ac3,eac3,dts,amr,amrnb,amrwb,ape,wv,tta,tak,mpc,mpc8,truehd,loas,voc,qcp,"
    "gif,apng,webp,webp_anim,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe,jpegxl_pipe,jpegxl_anim,j2k_pipe,"
    "psd_pipe,qoi_pipe,ppm_pipe,pgm_pipe,pam_pipe"
)
#: What libav reads at once: much of a file on disk, little of an object, most of which is not needed after a seek.
_BUFFER_BYTES: Final = 256 * 1024
_REMOTE_BUFFER_BYTES: Final = 64 * 1024
#: Of one picture: 200 megapixels, the most that cameras take (16320x12240).
MOST_PIXELS: Final = 16_384 * 12_288
_MOST_STREAMS: Final = 1000
_WEBP_ANIMATION: Final = 2
#: Pixels, or channels, that a default stream is ahead by (map_auto_video, map_auto_audio in fftools/ffmpeg_mux_init.c).
_DEFAULT_BONUS: Final = 5_000_000


def as_failure(doing: str, error: FFmpegError) -> JobError:
    """ProcessingFailed with libav's last words, or that memory ran out."""
    if isinstance(error, MemoryError):
        return out_of_memory()
    return ProcessingFailed(f"{doing} failed: {last_words(error)}", code="undecodable")


def last_words(error: FFmpegError) -> str:
    """What libav said: its own text, or plain words for those of its errors that have none."""
    said = str(error.strerror or "")
    return said if said and not said.startswith("Error number") else "the data is damaged"


@contextmanager
def open_media(source: Source, hwaccel: HWAccel | None = None) -> Iterator[InputContainer]:
    """Open a file for reading, on a hardware decoder if given; what reading a remote one raises comes out unchanged.

    Raises ProcessingFailed (`empty_file`, `undecodable`, `no_media`, `too_many_pixels`) and says what is wrong with
    the file.
    """
    if size_of(source) == 0:
        raise ProcessingFailed("the file is empty (0 bytes)", code="empty_file")
    with open_source(source) as file:
        try:
            container = av.open(
                _Nameless(file),
                mode="r",
                options={
                    "format_whitelist": _DEMUXERS,
                    "protocol_whitelist": "none",
                    "max_streams": str(_MOST_STREAMS),
                },
                metadata_errors="replace",
                hwaccel=hwaccel,
                buffer_size=_REMOTE_BUFFER_BYTES if isinstance(source, RemoteObject) else _BUFFER_BYTES,
            )
        except FFmpegError as error:
            if flaw := boxes.flaw(file, size_of(source)):
                raise ProcessingFailed(f"{flaw} ({last_words(error)})", code="undecodable") from error
            raise as_failure("opening the file", error) from error
        with container:
            if not any(stream.type in ("audio", "video") for stream in container.streams):
                raise ProcessingFailed("the file holds no audio and no video", code="no_media")
            if container.format.name == "webp_pipe" and _is_animated_webp(file):
                raise ProcessingFailed("an animated WebP: there is no decoder for those here", code="undecodable")
            _require_usual_pictures(container)
            yield container


def _is_animated_webp(file: io.BufferedIOBase) -> bool:
    """By the flags of its first chunk (RFC 9649, section 2.7.1)."""
    where = file.tell()
    file.seek(0)
    head = file.read(21)
    file.seek(where)
    return head[12:16] == b"VP8X" and bool(head[20] & _WEBP_ANIMATION)


def _require_usual_pictures(container: InputContainer) -> None:
    for stream in container.streams.video:
        context = stream.codec_context
        if context is not None and context.width * context.height > MOST_PIXELS:
            size = f"{context.width}x{context.height}"
            raise ProcessingFailed(
                f"the picture of {size} has more than {MOST_PIXELS:,} pixels", code="too_many_pixels"
            )


class _Nameless:
    """A file without its name, from which libav would guess (image sequences, for one)."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def best_video(container: InputContainer, empty: Set[int] = frozenset()) -> VideoStream | None:
    """The moving picture ffmpeg would choose: the largest, of which a default one counts for more; never cover art.

    `empty` are the indexes of streams that hold nothing.
    """
    streams = [s for s in _used(container.streams.video, empty) if not is_cover_art(s)]
    return max(streams, key=lambda s: s.codec_context.width * s.codec_context.height + _bonus(s), default=None)


def best_audio(container: InputContainer, empty: Set[int] = frozenset()) -> AudioStream | None:
    """The sound ffmpeg would choose: the default one, then the most channels, then the first; `empty` as above."""
    streams = _used(container.streams.audio, empty)
    return max(streams, key=lambda s: s.codec_context.channels + _bonus(s), default=None)


def audio_stream(container: InputContainer, number: int | None, empty: Set[int] = frozenset()) -> AudioStream:
    """The audio stream of this number, or the best. Raises ProcessingFailed (`no_audio_stream`)."""
    stream = best_audio(container, empty) if number is None else _numbered(container.streams.audio, number)
    if stream is None:
        raise absent("audio", number, len(container.streams.audio))
    return stream


def video_stream(container: InputContainer, number: int | None, empty: Set[int] = frozenset()) -> VideoStream:
    """The video stream of this number, or the best. Raises ProcessingFailed (`no_video_stream`)."""
    stream = best_video(container, empty) if number is None else _numbered(container.streams.video, number)
    if stream is None:
        raise absent("video", number, len(container.streams.video))
    return stream


def absent(kind: str, number: int | None, count: int) -> ProcessingFailed:
    """That there is no such stream, and which there are."""
    if number is None or not count:
        return ProcessingFailed(f"the file has no {kind} stream", code=f"no_{kind}_stream")
    there = "is 0 alone" if count == 1 else f"are 0 to {count - 1}"
    return ProcessingFailed(f"the file has no {kind} stream {number}: there {there}", code=f"no_{kind}_stream")


def is_cover_art(stream: Stream) -> bool:
    """Whether this is a picture attached to a recording, not a video."""
    return bool(stream.disposition & Disposition.attached_pic)


def is_image(container: InputContainer) -> bool:
    """Whether this is one still picture, not a recording."""
    if container.streams.audio:
        return False
    stream = best_video(container)
    return container.format.name.endswith("_pipe") or (stream is not None and stream.frames == 1)


def start_seconds(container: InputContainer) -> float:
    """Where the file's own clock begins; times given to people count from here."""
    return (container.start_time or 0) / av.time_base


def duration_seconds(container: InputContainer) -> float | None:
    """What the container says of its length, or None when it says nothing (a live recording, say)."""
    return container.duration / av.time_base if container.duration and container.duration > 0 else None


def seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """A time in a stream's ticks as seconds."""
    return None if ticks is None or time_base is None else float(ticks * time_base)


def _used(streams: Sequence[_Stream], empty: Set[int]) -> list[_Stream]:
    return [stream for stream in streams if stream.codec_context is not None and stream.index not in empty]


def _numbered(streams: Sequence[_Stream], number: int) -> _Stream | None:
    stream = streams[number] if number < len(streams) else None
    return None if stream is None or stream.codec_context is None else stream


def _bonus(stream: AudioStream | VideoStream) -> int:
    return _DEFAULT_BONUS if stream.disposition & Disposition.default else 0
