"""Small files as FFmpeg's muxers write them."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy


def encoded(
    muxer: str, *, video: str | None = None, audio: str | None = None, rate: int = 48000, **options: str
) -> bytes:
    """A quarter of a second in a real container, as FFmpeg's muxer writes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=muxer, options=options) as container:
        streams: list[tuple[Any, Any]] = []
        if video:
            stream = container.add_stream(video, rate=25)
            stream.width, stream.height = (176, 144)
            stream.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
            pictures = [av.VideoFrame(176, 144, stream.pix_fmt) for _ in range(6)]
            for picture in pictures:
                for plane in picture.planes:
                    plane.update(bytes(plane.buffer_size))
            streams.append((stream, pictures))
        if audio:
            sound = container.add_stream(audio, rate=rate, layout="mono")
            sound.bit_rate = 64_000
            wave = (numpy.sin(numpy.arange(rate // 4) / 20) * 9000).astype("int16").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate = rate
            streams.append((sound, [frame]))
        for stream, frames in streams:
            for index, each in enumerate(frames):
                each.pts = index
                container.mux(stream.encode(each))
            container.mux(stream.encode(None))
    return file.getvalue()
