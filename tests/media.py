"""Media made on the spot, by PyAV alone: small files of any kind for unit tests, large ones for end-to-end tests.

Pictures are not symmetrical, so that turned or mirrored ones show: the top left corner is red, the bottom right one
blue, and a white bar moves from left to right once in the file's length, so that a picture tells its own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, cycle
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition

AUDIO_CODECS = {
    ".webm": "libopus",
    ".opus": "libopus",
    ".ogg": "libopus",
    ".avi": "libmp3lame",
    ".mp3": "libmp3lame",
    ".flac": "flac",
    ".wav": "pcm_s16le",
    ".aiff": "pcm_s16be",
}
FORMATS = {".ts": "mpegts", ".m4a": "ipod", ".aac": "adts", ".mkv": "matroska"}
CODEC_OPTIONS = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx": {"deadline": "realtime"},
}
SAMPLE_RATE = 48_000


def make_video(
    path: Path,
    *,
    seconds: float,
    size: tuple[int, int] = (320, 180),
    fps: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    speech: Path | None = None,
    speech_start: float = 0.0,
    silence: bool = False,
    rotation: int = 0,
    aspect: Fraction | None = None,
    times: list[float] | None = None,
    faststart: bool = True,
) -> Path:
    """A film in the container that the suffix names, with speech from a recording (cut to length), silence or no sound.

    `rotation` is counter-clockwise degrees, `aspect` the pixels' own; `times` places frames at other than even times.
    """
    options = {"movflags": "+faststart"} if faststart and path.suffix in (".mp4", ".mov") else {}
    moments = times or [index / fps for index in range(round(seconds * fps))]
    with av.open(path, "w", format=FORMATS.get(path.suffix), options=options) as film:
        video = film.add_stream(codec, rate=fps, options=CODEC_OPTIONS.get(codec))
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, fps)
        if rotation:
            video.set_display_rotation(rotation)
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        audio = _audio_stream(film, path, "mono") if speech or silence else None
        waves = _speech(speech, seconds) if speech else _silence(seconds)
        sound = _packets(audio, waves, speech_start) if audio else iter(())
        heard = next(sound, None)
        for moment in moments:
            frame = av.VideoFrame.from_ndarray(picture(size, moment / seconds), format="rgb24").reformat(format=pix_fmt)
            frame.pts = round(moment / video.codec_context.time_base)
            frame.time_base = video.codec_context.time_base
            film.mux(video.encode(frame))
            while heard is not None and heard.pts * heard.time_base <= moment:
                film.mux(heard)
                heard = next(sound, None)
        film.mux(video.encode(None))
        for packet in chain([heard] if heard else [], sound):
            film.mux(packet)
    return path


def make_audio(
    path: Path,
    *,
    speech: Path,
    seconds: float = 1e6,
    layout: str = "mono",
    cover: bool = False,
    gain: float = 1.0,
    codec: str | None = None,
) -> Path:
    """A recording in the format that the suffix names, by its usual codec; `cover` attaches a picture to it."""
    with av.open(path, "w", format=FORMATS.get(path.suffix)) as recording:
        audio = _audio_stream(recording, path, layout, codec)
        if cover:
            art = recording.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 64, 64, "yuvj420p"
            art.disposition = Disposition.attached_pic
            image = av.VideoFrame.from_ndarray(picture((64, 64), 0.5), format="rgb24").reformat(format="yuvj420p")
            recording.mux([*art.encode(image), *art.encode(None)])
        for packet in _packets(audio, _louder(_speech(speech, seconds), gain)):
            recording.mux(packet)
    return path


def make_tone_wav(path: Path, *, seconds: float = 1.0, hertz: float = 440.0, level: float = 0.3) -> Path:
    """A plain tone; silence at level 0."""
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    with av.open(path, "w", format="wav") as recording:
        audio = recording.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for packet in _packets(audio, iter([_frame((wave * 32767).astype(np.int16))])):
            recording.mux(packet)
    return path


def make_large_mp4(path: Path, *, megabytes: int = 100, speech: Path, size: tuple[int, int] = (1280, 720)) -> Path:
    """A film of about this size (10^6 bytes) as long as the speech, in seconds of work: a few frames, over and over."""
    noise = np.random.default_rng(0)
    with av.open(path, "w", options={"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "18", "g": "1"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        frames: list[Packet] = []
        for index in range(8):
            pixels = picture(size, index / 8)
            grain = noise.integers(0, 40, pixels.shape, np.uint8)
            frames += video.encode(av.VideoFrame.from_ndarray(np.maximum(pixels, grain), format="rgb24"))
        frames += video.encode(None)
        contents = [bytes(frame) for frame in frames]
        audio = _audio_stream(film, path, "mono")
        sound = list(_packets(audio, _speech(speech, 1e6)))
        seconds = float((sound[-1].pts + sound[-1].duration) * sound[-1].time_base)
        count = round(megabytes * 1e6 / (sum(map(len, contents)) / len(contents)))
        heard = iter(sound)
        following = next(heard, None)
        for index, content in zip(range(count), cycle(contents), strict=False):
            packet = Packet(content)
            packet.stream, packet.is_keyframe = video, True
            packet.time_base = Fraction(1, 90_000)
            packet.pts = packet.dts = round(index * seconds / count * 90_000)
            packet.duration = round(seconds / count * 90_000)
            film.mux(packet)
            while following is not None and following.pts * following.time_base <= (index + 1) * seconds / count:
                film.mux(following)
                following = next(heard, None)
    return path


def truncate(path: Path, fraction: float) -> Path:
    """A copy beside the file with this share of its bytes."""
    data = path.read_bytes()
    shorter = path.with_name(f"cut-{path.name}")
    shorter.write_bytes(data[: int(len(data) * fraction)])
    return shorter


def picture(size: tuple[int, int], progress: float) -> np.ndarray:
    """RGB pixels; the bar stands at `progress` (0 to 1) of the width."""
    width, height = size
    pixels = np.full((height, width, 3), 64, np.uint8)
    pixels[: height // 3, : width // 3] = (255, 0, 0)
    pixels[-(height // 3) :, -(width // 3) :] = (0, 0, 255)
    left = round(progress * (width - 1))
    pixels[height * 4 // 9 : height * 5 // 9, max(left - 3, 0) : left + 4] = 255
    return pixels


def bar(pixels: np.ndarray) -> float:
    """Where the bar stands in such a picture, 0 to 1."""
    row = pixels[pixels.shape[0] // 2].min(axis=1).astype(float)
    bright = np.flatnonzero(row > 160)
    return float(bright.mean() / (len(row) - 1)) if len(bright) else float("nan")


def _audio_stream(container: OutputContainer, path: Path, layout: str, codec: str | None = None) -> av.AudioStream:
    return container.add_stream(codec or AUDIO_CODECS.get(path.suffix, "aac"), rate=SAMPLE_RATE, layout=layout)


def _packets(stream: av.AudioStream, frames: Iterator[av.AudioFrame], start: float = 0.0) -> Iterator[Packet]:
    context = stream.codec_context
    resampler = AudioResampler(
        context.format, context.layout, context.sample_rate, frame_size=context.frame_size or 1024
    )
    for frame in chain(frames, [None]):
        for sound in resampler.resample(frame):
            sound.pts += round(start * sound.sample_rate)
            yield from stream.encode(sound)
    yield from stream.encode(None)


def _speech(path: Path, seconds: float) -> Iterator[av.AudioFrame]:
    with av.open(path) as recording:
        for frame in recording.decode(audio=0):
            if frame.time is not None and frame.time >= seconds:
                return
            yield frame


def _louder(frames: Iterator[av.AudioFrame], gain: float) -> Iterator[av.AudioFrame]:
    for frame in frames:
        louder = av.AudioFrame.from_ndarray(
            (frame.to_ndarray() * gain).astype(np.int16), format="s16", layout=frame.layout.name
        )
        louder.sample_rate, louder.pts, louder.time_base = frame.sample_rate, frame.pts, frame.time_base
        yield louder


def _silence(seconds: float) -> Iterator[av.AudioFrame]:
    yield _frame(np.zeros(round(seconds * SAMPLE_RATE), np.int16))


def _frame(samples: np.ndarray) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    return frame
