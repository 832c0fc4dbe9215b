"""What a frame brings along besides its pixels."""

from __future__ import annotations

from typing import Any

from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame


def attached(frame: VideoFrame, kind: str) -> bytes | None:
    """The bytes of one kind, by its name in libavutil/frame.h without AV_FRAME_DATA; None when there are none."""
    data = frame.side_data.get(kind)
    return bytes(data) if isinstance(data, SideData) else None


def _unknown(kinds: type[Type], number: object) -> Type:
    kind: Any = object.__new__(kinds)
    kind._name_, kind._value_ = f"UNKNOWN_{number}", number
    named: Type = kind
    return named


# PyAV 18.1 does not know every kind of FFmpeg 8's (a JPEG's EXIF is one), and would refuse to tell any of a frame's.
Type._missing_ = classmethod(_unknown)  # type: ignore[assignment]
