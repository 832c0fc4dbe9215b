"""Decoding by a GPU's own decoder (NVDEC), and making its pictures small where they are.

Frames stay on the device (`is_hw_owned`), where torch reads their planes in place, by DLPack. What wants a whole
picture, which is little, shrinks it with swscale, to which PyAV brings it down by itself.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.frame import VideoFrame
from numpy.typing import NDArray

#: Forms whose first plane is luma: bytes, or the upper bits of two.
_READABLE: Final = frozenset({"nv12", "p010le", "p016le"})
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
#: In limited range: what is black, and how far white is from it.
_BLACK: Final = 16.0
_SPAN: Final = 219.0


def nvdec() -> HWAccel:
    """For `av.open`, which raises OSError or NotImplementedError where there is no such decoder after all.

    A stream that the hardware does not take is decoded by libav, as ever.
    """
    return HWAccel("cuda", is_hw_owned=True, allow_software_fallback=True)


def is_on_device(frame: VideoFrame) -> bool:
    """Whether NVDEC made this picture."""
    return frame.format.name == "cuda"


def holds(frame: VideoFrame) -> bool:
    """Whether the picture is on the device, in a form that is read there."""
    return is_on_device(frame) and frame.sw_format is not None and frame.sw_format.name in _READABLE


def shrunk_luma(frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The luma `[height, width]` of a picture in one of the readable forms, black at 0 and white at 255.

    `size` is width and height; each pixel is the mean of those it stands for.
    """
    import torch
    from torch.nn import functional
    from torch.utils.dlpack import from_dlpack

    # `from_dlpack(plane)` would name a stream, which PyAV does not take; so all streams are waited for.
    plane: Any = frame.planes[0]
    luma = from_dlpack(plane.__dlpack__())
    if luma.is_cuda:
        torch.cuda.synchronize()
    scale = 1.0 if luma.dtype == torch.uint8 else 1 / 256
    width, height = size
    small = functional.interpolate(luma.float()[None, None], (height, width), mode="area")[0, 0] * scale
    if frame.color_range != _FULL_RANGE:
        small = (small - _BLACK) * (255 / _SPAN)
    pixels: NDArray[np.uint8] = small.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return pixels
