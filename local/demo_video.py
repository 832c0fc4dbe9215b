"""A short film with real pictures and real speech, made from the assets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, cycle
from pathlib import Path
from typing import Final

import av
from av.audio.resampler import AudioResampler
from av.video.frame import PictureType, VideoFrame

_WIDTH: Final = 640
_HEIGHT: Final = 360
_FRAME_RATE: Final = 25
_SAMPLE_RATE: Final = 48_000


def make_demo(path: Path, *, pictures: Path, speech: Path) -> None:
    """Write an MP4 (H.264, AAC, index in front) as long as the speech; the pictures run to and fro beneath it."""
    with av.open(path, "w", options={"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=_FRAME_RATE, options={"preset": "veryfast", "crf": "28"})
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        audio = film.add_stream("aac", rate=_SAMPLE_RATE, layout="mono", options={"b": "96k"})
        film.metadata["comment"] = "Pictures (c) Blender Foundation, CC-BY 3.0; speech: Pete Warden, CC0"
        still = _pictures(pictures)
        shown = 0
        resampler = AudioResampler(audio.format, "mono", _SAMPLE_RATE)
        with av.open(speech) as recording:
            heard = 0
            for spoken in chain(recording.decode(audio=0), [None]):
                for sound in resampler.resample(spoken):
                    film.mux(audio.encode(sound))
                    heard += sound.samples
                while shown * _SAMPLE_RATE < heard * _FRAME_RATE:
                    frame = next(still)
                    frame.pts = shown
                    film.mux(video.encode(frame))
                    shown += 1
        film.mux(audio.encode(None))
        film.mux(video.encode(None))


def _pictures(path: Path) -> Iterator[VideoFrame]:
    """The clip forwards, backwards, forwards, without end."""
    with av.open(path) as clip:
        clip.streams.video[0].thread_type = "AUTO"
        frames = [frame.reformat(_WIDTH, _HEIGHT, "yuv420p") for frame in clip.decode(video=0)]
    for frame in frames:
        frame.pict_type = PictureType.NONE  # the encoder places its own keyframes
    for frame in cycle([*frames, *frames[-2:0:-1]]):
        frame.time_base = Fraction(1, _FRAME_RATE)
        yield frame
