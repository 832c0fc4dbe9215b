"""A waveform as a picture."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BACKGROUND: Final = (255, 255, 255)
_WAVE: Final = (37, 99, 235)
#: Below this peak it is the noise of a recorder, which stays small.
_QUIETEST: Final = 0.01 * 2**15


def draw(points: NDArray[np.int16], size: tuple[int, int]) -> bytes:
    """A PNG of this width and height. `points` holds rows of lowest and highest; the loudest fills the picture."""
    width, height = size
    low, high = _columns(points, width)
    middle = height / 2
    scale = middle / max(-low.min(), high.max(), _QUIETEST)
    top = np.floor(middle - high * scale)
    bottom = np.maximum(np.ceil(middle - low * scale), top + 1)  # silence is a line
    rows = np.arange(height)[:, np.newaxis]
    pixels = ((rows >= top) & (rows < bottom)).astype(np.uint8)
    picture = Image.fromarray(pixels, "P")
    picture.putpalette([*_BACKGROUND, *_WAVE])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _columns(points: NDArray[np.int16], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest value of each column's points; every column has at least one."""
    if not len(points):
        return np.zeros(width), np.zeros(width)
    first = np.arange(width) * len(points) // width
    low = np.minimum.reduceat(points[:, 0], first)
    high = np.maximum.reduceat(points[:, 1], first)
    return low.astype(float), high.astype(float)
