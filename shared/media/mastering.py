"""What an HDR film says of the display it was made on and of its brightest pictures, from its first picture."""

from __future__ import annotations

import struct
from typing import Final

from av.video.frame import VideoFrame

from shared.media.side_data import attached

#: AVMasteringDisplayMetadata (libavutil/mastering_display_metadata.h): ten fractions, two flags.
_DISPLAY: Final = struct.Struct("=20i2i")
#: AVContentLightMetadata: MaxCLL and MaxFALL.
_LIGHT: Final = struct.Struct("=2I")
_COORDINATES: Final = ("red_x", "red_y", "green_x", "green_y", "blue_x", "blue_y", "white_x", "white_y")
_LUMINANCES: Final = ("min_luminance", "max_luminance")


def mastering_display(frame: VideoFrame) -> dict[str, float] | None:
    """SMPTE ST 2086: CIE 1931 coordinates of primaries and white, luminances in cd/m²; None where nothing is said."""
    data = _said(frame, "MASTERING_DISPLAY_METADATA", _DISPLAY)
    if data is None:
        return None
    *numbers, has_primaries, has_luminance = _DISPLAY.unpack(data)
    values = [top / bottom if bottom else 0.0 for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)]
    said: dict[str, float] = {}
    if has_primaries:
        said |= zip(_COORDINATES, (round(value, 5) for value in values[:8]), strict=True)
    if has_luminance:
        said |= zip(_LUMINANCES, (round(value, 4) for value in values[8:]), strict=True)
    return said or None


def content_light_level(frame: VideoFrame) -> dict[str, int] | None:
    """CTA-861.3, in cd/m²: the brightest pixel (`max_cll`) and the brightest average of a picture (`max_fall`)."""
    data = _said(frame, "CONTENT_LIGHT_LEVEL", _LIGHT)
    return None if data is None else dict(zip(("max_cll", "max_fall"), _LIGHT.unpack(data), strict=True))


def _said(frame: VideoFrame, kind: str, form: struct.Struct) -> bytes | None:
    data = attached(frame, kind)
    return data[: form.size] if data is not None and len(data) >= form.size else None
