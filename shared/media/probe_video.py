"""What a video stream is, as its headers and its first picture say."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from av.video.stream import VideoStream

from shared.media.beginnings import Beginning
from shared.media.color_names import HDR_TRANSFERS, MATRICES, PRIMARIES, RANGES, TRANSFERS
from shared.media.frame_rate import UNKNOWN, intervals
from shared.media.mastering import content_light_level, mastering_display
from shared.media.pictures import Orientation, display_size, orientation

_FIELD_ORDERS: Final = {1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}


def declared(stream: VideoStream) -> dict[str, Any]:
    """What the headers say. To be asked before anything is decoded, which may change it."""
    context = stream.codec_context
    transfer = TRANSFERS.get(context.color_trc)
    return {
        "width": context.width,
        "height": context.height,
        "sample_aspect_ratio": _ratio(stream.sample_aspect_ratio, ":"),
        "level": context.level if context.level >= 0 else None,
        "has_b_frames": context.has_b_frames,
        "field_order": _FIELD_ORDERS.get(context.field_order),
        "pix_fmt": context.pix_fmt,
        "bit_depth": max((part.bits for part in context.format.components), default=None) if context.format else None,
        "color_range": RANGES.get(context.color_range),
        "color_space": MATRICES.get(context.colorspace),
        "color_transfer": transfer,
        "color_primaries": PRIMARIES.get(context.color_primaries),
        "hdr": transfer in HDR_TRANSFERS,
        "frame_rate": round(float(stream.average_rate), 6) if stream.average_rate else None,
        "frame_rate_ratio": _ratio(stream.average_rate, "/"),
        "base_frame_rate_ratio": _ratio(stream.base_rate, "/"),
    }


def shown(stream: VideoStream, beginning: Beginning) -> dict[str, Any]:
    """What travels with the pictures: rotation, mastering, times; and the proof that the codec can be decoded."""
    frame = beginning.frame
    turned = orientation(frame) if frame is not None else Orientation()
    context = stream.codec_context
    width, height = display_size(context.width, context.height, stream.sample_aspect_ratio, turned)
    found = intervals(stream, beginning.times)
    return {
        "display_width": width,
        "display_height": height,
        "display_aspect_ratio": _ratio(_display_aspect(stream, turned), ":"),
        "rotation": turned.rotation,
        "mirrored": turned.is_mirrored,
        "mastering_display": mastering_display(frame) if frame is not None else None,
        "content_light_level": content_light_level(frame) if frame is not None else None,
        **(found.facts() if found is not None else UNKNOWN),
        "decodable": frame is not None,
    }


def _display_aspect(stream: VideoStream, turned: Orientation) -> Fraction | None:
    """Of the picture as shown; a width in whole pixels would be a little off."""
    context, pixel = stream.codec_context, stream.sample_aspect_ratio
    if not (context.width and context.height):
        return None
    aspect = Fraction(context.width, context.height) * (pixel if pixel and pixel > 0 else 1)
    return 1 / aspect if turned.swaps_sides else aspect


def _ratio(value: Fraction | None, sign: str) -> str | None:
    return f"{value.numerator}{sign}{value.denominator}" if value else None
