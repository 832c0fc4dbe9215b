"""Pictures for a film: scenes unlike each other, real, drawn and moving blocks in turn, with grain on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import Final, cast

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

#: How much longer than the shortest the longest scene may be.
_VARIETY: Final = 3.0
_GRAIN: Final = 14


def scenes(number: int, *, frames: int, size: tuple[int, int], fps: int, clip: Path) -> Iterator[VideoFrame]:
    """So many frames in so many scenes, the real ones from `clip`; the same ones every time."""
    dice = np.random.default_rng(4)
    ends = np.cumsum(dice.uniform(1, _VARIETY, number))
    lengths = np.diff(np.round(ends / ends[-1] * frames).astype(int), prepend=0)
    with av.open(clip) as container:
        container.streams.video[0].thread_type = "AUTO"
        real = list(container.decode(video=0))
    kinds: tuple[Callable[[], Iterator[VideoFrame]], ...] = (
        lambda: _to_and_fro(real, int(dice.integers(len(real))), size),
        lambda: _drawn("testsrc2", size, fps),
        lambda: _blocks(size, dice),
        lambda: _larger(_drawn("gradients", (size[0] // 4, size[1] // 4), fps, f"seed={dice.integers(1, 999)}"), size),
    )
    parts = (islice(kind(), int(length)) for kind, length in zip(cycle(kinds), lengths, strict=False))
    return map(_Grain(size).on, chain.from_iterable(parts))


def _to_and_fro(clip: list[VideoFrame], first: int, size: tuple[int, int]) -> Iterator[VideoFrame]:
    return _larger(islice(cycle([*clip, *clip[-2:0:-1]]), first, None), size)


def _larger(frames: Iterable[VideoFrame], size: tuple[int, int]) -> Iterator[VideoFrame]:
    return (frame.reformat(*size, "yuv420p") for frame in frames)


def _drawn(source: str, size: tuple[int, int], fps: int, *options: str) -> Iterator[VideoFrame]:
    """What one of libavfilter's own sources shows."""
    graph = Graph()
    drawing = graph.add(source, ":".join((*options, f"size={size[0]}x{size[1]}", f"rate={fps}")))
    graph.link_nodes(drawing, graph.add("format", "yuv420p"), graph.add("buffersink")).configure()
    while True:
        yield cast(VideoFrame, graph.pull())


def _blocks(size: tuple[int, int], dice: np.random.Generator) -> Iterator[VideoFrame]:
    """Gray blocks that wander to the left, a pixel or a few with each frame."""
    width, height = size
    side = height // 9
    blocks = dice.integers(16, 236, (10, width // side + 1), np.uint8)
    scene = np.repeat(np.repeat(blocks, side, axis=0), side, axis=1)[:height]
    for index in count():
        shown = np.ascontiguousarray(np.roll(scene, -index * width // 640, axis=1)[:, :width])
        yield VideoFrame.from_ndarray(shown, format="gray").reformat(format="yuv420p")


class _Grain:
    """Noise that is another one in every frame."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._dice = np.random.default_rng(1)
        self._width, self._height = size
        self._noise: NDArray[np.uint8] = self._dice.integers(0, _GRAIN, (self._height + 64, self._width + 64), np.uint8)

    def on(self, frame: VideoFrame) -> VideoFrame:
        pixels = frame.to_ndarray()
        luma = pixels[: self._height]
        down, right = self._dice.integers(0, 64, 2)
        np.minimum(luma, 255 - _GRAIN, out=luma)
        luma += self._noise[down : down + self._height, right : right + self._width]
        return VideoFrame.from_ndarray(pixels, format="yuv420p")
