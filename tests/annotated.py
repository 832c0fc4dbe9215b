"""A film with all that a Matroska file may hold besides pictures and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.stream import Disposition

SUBTITLES_END = 8.0
FONT = b"\0\1\0\0" + bytes(100)


def make_annotated(path: Path) -> Path:
    """2 s of H.264, German sound and an English commentary, forced subtitles that outlast them, chapters, a font."""
    with av.open(path, "w", format="matroska") as film:
        film.metadata["title"] = "Zwei Städte"
        video = film.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        video.disposition = Disposition.default
        sounds = [film.add_stream("flac", rate=48_000, layout="stereo") for _ in range(2)]
        for sound, language, disposition in zip(
            sounds, ("deu", "eng"), (Disposition.default, Disposition.comment), strict=True
        ):
            sound.metadata["language"], sound.disposition = language, disposition
        sounds[1].metadata["title"] = "Kommentar"
        subtitles = film.add_mux_stream("subrip")
        subtitles.time_base = Fraction(1, 1000)
        subtitles.metadata.update(language="eng", title="Signs")
        subtitles.disposition = Disposition.forced
        film.add_attachment("title.ttf", "font/ttf", FONT)
        chapters = ((1, 0, 1000, "It was the best of times"), (2, 1000, 2000, "it was the worst of times"))
        film.set_chapters(
            [
                {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for number, start, end, title in chapters
            ]
        )
        black = av.VideoFrame.from_ndarray(np.zeros((90, 160, 3), np.uint8), format="rgb24")
        for index in range(50):
            black.pts, black.time_base = index, Fraction(1, 25)
            film.mux(video.encode(black))
        film.mux(video.encode(None))
        for sound in sounds:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 4 * 48_000), np.int16), format="s16", layout="stereo")
            silence.sample_rate, silence.pts, silence.time_base = 48_000, 0, Fraction(1, 48_000)
            film.mux([*sound.encode(silence), *sound.encode(None)])
        cue = Packet(b"A sign")
        cue.stream, cue.time_base = subtitles, Fraction(1, 1000)
        cue.pts = cue.dts = 500
        cue.duration = round(SUBTITLES_END * 1000) - 500
        film.mux(cue)
    return path
