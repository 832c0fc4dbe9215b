"""From a decoded frame to a picture as people should see it: upright, in its right shape, in SDR's RGB."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from PIL import Image

from shared.media import tone_mapping
from shared.media.shrinker import UNSPECIFIED, Shrinker, matrix
from shared.media.side_data import attached

_JPEG_QUALITY: Final = 85
#: Pixels that a JPEG may have on a side, by libjpeg; a screenshot of a long page has more.
_HIGHEST: Final = 65_500
_MATRIX: Final = struct.Struct("=9i")
_HIGH_DEFINITION: Final = 720
#: Clockwise degrees to Pillow's, which are counter-clockwise.
_TURNS: Final = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a player must turn a picture before showing it."""

    #: Clockwise degrees: 0, 90, 180 or 270.
    rotation: int = 0
    #: Mirrored left to right, before the rotation.
    is_mirrored: bool = False

    @property
    def swaps_sides(self) -> bool:
        """Whether width becomes height."""
        return self.rotation in (90, 270)


def orientation(frame: VideoFrame) -> Orientation:
    """What the frame's display matrix says (phones record upright pictures this way).

    The layout is libavutil/display.h's: nine 32-bit integers, row by row, applied to row vectors, y downwards.
    """
    data = attached(frame, "DISPLAYMATRIX")
    if data is None or len(data) < _MATRIX.size:
        return Orientation()
    a, b, _, c, d, *_ = _MATRIX.unpack_from(data)
    is_mirrored = a * d - b * c < 0
    angle = math.degrees(math.atan2(-b, -a) if is_mirrored else math.atan2(b, a))
    return Orientation(rotation=round(angle / 90) * 90 % 360, is_mirrored=is_mirrored)


def display_size(width: int, height: int, aspect: Fraction | None, turned: Orientation) -> tuple[int, int]:
    """Width and height as shown, with square pixels and upright."""
    if aspect is not None and aspect > 0:
        width = max(round(width * aspect), 1)
    return (height, width) if turned.swaps_sides else (width, height)


class Painter:
    """Makes pictures from the frames of one video."""

    def __init__(self, aspect: Fraction | None, *, interpolation: str = "BICUBIC") -> None:
        """`aspect` is the pixels' own (sample aspect ratio); `interpolation` one of swscale's: AREA is quicker."""
        self._aspect = aspect
        self._interpolation = interpolation
        self._shrinker = Shrinker()

    def paint(self, frame: VideoFrame, widest: int, highest: int | None = None) -> Image.Image:
        """The frame as shown, at most this wide and high, never enlarged, with even sides, transparent parts white."""
        turned = orientation(frame)
        shown = display_size(frame.width, frame.height, self._aspect, turned)
        scale = min(widest / shown[0], min(highest or shown[1], _HIGHEST) / shown[1], 1.0)
        width, height = (max(int(side * scale + 0.5) // 2 * 2, 2) for side in shown)
        picture = self._to_rgb(frame, (height, width) if turned.swaps_sides else (width, height))
        if turned.is_mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        turn = _TURNS.get(turned.rotation)
        return picture if turn is None else picture.transpose(turn)

    def _to_rgb(self, frame: VideoFrame, size: tuple[int, int]) -> Image.Image:
        if tone_mapping.is_beyond_sdr(frame):
            deep = self._shrink(frame, size, "rgb48le").to_ndarray()
            return Image.fromarray(tone_mapping.to_sdr(deep.astype(np.uint16, copy=False), frame))
        has_alpha = any(component.is_alpha for component in frame.format.components) or frame.format.name == "pal8"
        picture = Image.fromarray(self._shrink(frame, size, "rgba" if has_alpha else "rgb24").to_ndarray())
        if not has_alpha:
            return picture
        return Image.alpha_composite(Image.new("RGBA", size, "white"), picture).convert("RGB")

    def _shrink(self, frame: VideoFrame, size: tuple[int, int], pixels: str) -> VideoFrame:
        return self._shrinker.shrink(
            frame, size, pixels, src_colorspace=_colorspace(frame), interpolation=self._interpolation
        )


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _colorspace(frame: VideoFrame) -> Colorspace | None:
    """What players assume of HDR and high definition that do not say; swscale would take that of old television."""
    if matrix(frame) != UNSPECIFIED or frame.format.is_rgb:
        return None
    if tone_mapping.is_hdr(frame):
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.height >= _HIGH_DEFINITION else None
