"""Films of several scenes, each with its own light, pattern and motion, so that their cuts are known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

SIZE = (160, 90)


def make_scenes(
    path: Path,
    cuts: Sequence[int],
    *,
    frames: int,
    fps: int = 25,
    flashes: Sequence[int] = (),
    dissolves: Sequence[int] = (),
    fades: Sequence[tuple[int, int, int]] = (),
    keyframes: Sequence[int] = (),
    times: Sequence[float] = (),
    seed: int = 7,
) -> Path:
    """A film whose scenes begin at frame 0 and at each of `cuts`.

    At each of `flashes` one frame is white. Of `cuts`, those in `dissolves` take the 12 frames before and after; a fade
    takes so many frames down to black before the frame `middle`, some black ones and as many up again: `(middle, ramp,
    black)`. `keyframes` are some besides the encoder's own; `times` places the frames at other than even times, in
    seconds.
    """
    dice = np.random.default_rng(seed)
    textures = [_texture(dice) for _ in range(len(cuts) + 1)]
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        video.codec_context.time_base = Fraction(1, 1000)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for index in range(frames):
            pixels = sum(
                share * np.roll(textures[scene], index * (scene % 3 + 1), axis=1)
                for scene, share in _shares(index, cuts, dissolves)
            )
            pixels = (pixels + dice.integers(-6, 7, pixels.shape)) * min([1, *(_light(index, *fade) for fade in fades)])
            if index in flashes:
                pixels[:] = 255
            gray = np.clip(pixels, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p")
            frame.pts = round(1000 * (times[index] if times else index / fps))
            frame.time_base = video.codec_context.time_base
            if index in keyframes:
                frame.pict_type = PictureType.I
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
    return path


def _shares(index: int, cuts: Sequence[int], dissolves: Sequence[int]) -> list[tuple[int, float]]:
    """Which scenes a frame shows, and how much of each."""
    for cut in dissolves:
        if cut - 12 <= index < cut + 12:
            done = (index - cut + 12.5) / 24
            return [(cuts.index(cut), 1 - done), (cuts.index(cut) + 1, done)]
    return [(sum(cut <= index for cut in cuts), 1.0)]


def _light(index: int, middle: int, ramp: int, black: int) -> float:
    """How much of the light a fade leaves, 0 to 1."""
    away = abs(index + 0.5 - middle) - black / 2
    return min(max(away / ramp, 0.0), 1.0)


def _texture(dice: np.random.Generator) -> np.ndarray:
    """Large patches of random light, smooth enough to move without flicker."""
    patches = dice.integers(20, 236, (6, 10))
    width, height = SIZE
    rows = np.linspace(0, 5, height).round().astype(int)
    columns = np.linspace(0, 9, width).round().astype(int)
    return patches[np.ix_(rows, columns)].astype(np.uint8)
