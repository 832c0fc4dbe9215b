"""What a frame brings along besides its pixels."""

from __future__ import annotations

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame


def attached(frame: VideoFrame, kind: str) -> bytes | None:
    """The bytes of one kind, by its name in libavutil/frame.h without AV_FRAME_DATA; None when there are none.

    Raises ValueError when the frame has data of a kind that PyAV does not know (FFmpeg 8's of a JPEG with EXIF).
    """
    data = frame.side_data.get(kind)
    return bytes(data) if isinstance(data, SideData) else None
