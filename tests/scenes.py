"""Films of several scenes, each with its own light, pattern and motion, so that their cuts are known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (160, 90)


def make_scenes(
    path: Path,
    cuts: Sequence[int],
    *,
    frames: int,
    fps: int = 25,
    flashes: Sequence[int] = (),
    times: Sequence[float] = (),
) -> Path:
    """A film whose scenes begin at frame 0 and at each of `cuts`; at each of `flashes` one frame is white.

    `times` places the frames at other than even times, in seconds.
    """
    dice = np.random.default_rng(7)
    textures = [_texture(dice) for _ in range(len(cuts) + 1)]
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        video.codec_context.time_base = Fraction(1, 1000)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for index in range(frames):
            scene = sum(cut <= index for cut in cuts)
            moved = np.roll(textures[scene], index * (scene % 3 + 1), axis=1)
            noisy = moved.astype(int) + dice.integers(-6, 7, moved.shape)
            pixels = np.full_like(moved, 255) if index in flashes else np.clip(noisy, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="gray").reformat(format="yuv420p")
            frame.pts = round(1000 * (times[index] if times else index / fps))
            frame.time_base = video.codec_context.time_base
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
    return path


def _texture(dice: np.random.Generator) -> np.ndarray:
    """Large patches of random light, smooth enough to move without flicker."""
    patches = dice.integers(20, 236, (6, 10))
    width, height = SIZE
    rows = np.linspace(0, 5, height).round().astype(int)
    columns = np.linspace(0, 9, width).round().astype(int)
    return patches[np.ix_(rows, columns)].astype(np.uint8)
