"""Films of flat patches of known colours, in any range, matrix and transfer: standard or high dynamic range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

#: Sides of a patch.
SIDE = 40
#: As H.273 numbers them, with the shares of red and blue in luma.
BT709, UNSPECIFIED, BT601, BT2020 = 1, 2, 6, 9
_SHARES = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
#: Linear RGB of BT.709 in other primaries (BT.2020's: BT.2087), and the luminance of these.
_FROM_BT709 = {
    ColorPrimaries.BT709: np.eye(3),
    ColorPrimaries.BT2020: np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]),
    ColorPrimaries.SMPTE432: np.array([[0.8225, 0.1775, 0.0], [0.0332, 0.9668, 0.0], [0.0171, 0.0724, 0.9105]]),
}
_FROM_BT709[ColorPrimaries.UNSPECIFIED] = _FROM_BT709[ColorPrimaries.BT2020]
_LUMINANCES = {
    ColorPrimaries.BT709: [0.2126, 0.7152, 0.0722],
    ColorPrimaries.BT2020: [0.2627, 0.6780, 0.0593],
    ColorPrimaries.SMPTE432: [0.2290, 0.6917, 0.0793],
}
_LUMINANCES[ColorPrimaries.UNSPECIFIED] = _LUMINANCES[ColorPrimaries.BT2020]
#: cd/m² of diffuse white (BT.2408).
WHITE = 203.0


@dataclass(frozen=True)
class Coding:
    """How colours become numbers. Colours are given as a BT.709 screen of gamma 2.4 has them, 1 is diffuse white."""

    matrix: int = BT709
    is_full: bool = False
    transfer: int = ColorTrc.BT709
    primaries: int = ColorPrimaries.BT709
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    #: What the file says of the matrix; None for the truth.
    said: int | None = None
    #: What x265 writes besides.
    light: str = ""


def make_patches(path: Path, colours: np.ndarray, coding: Coding) -> Path:
    """A film of two frames with so many rows and columns of patches, `[rows, columns, 3]`, 0 to 1 and above."""
    signal = np.kron(_signal(np.asarray(colours, float), coding), np.ones((SIDE, SIDE, 1)))
    height, width = signal.shape[:2]
    with av.open(path, "w") as film:
        options = {"preset": "ultrafast", "crf": "4"}
        if coding.codec == "libx265":
            options["x265-params"] = f"log-level=none:frame-threads=1{coding.light}"
        video = film.add_stream(coding.codec, rate=25, options=options)
        # Of two frames the second is not to wait for others: x265 at times gave them times that no muxer takes.
        video.codec_context.max_b_frames = 0
        video.width, video.height, video.pix_fmt = width, height, coding.pix_fmt
        for thing in (video.codec_context, frame := av.VideoFrame(width, height, coding.pix_fmt)):
            thing.color_range = ColorRange.JPEG if coding.is_full else ColorRange.MPEG
            thing.color_trc, thing.color_primaries = coding.transfer, coding.primaries
            thing.colorspace = coding.matrix if coding.said is None else coding.said
        for plane, samples in zip(frame.planes, _planes(signal, coding), strict=True):
            lines = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
            lines[:, : plane.width] = samples
            plane.update(lines.tobytes())
        for index in range(2):
            frame.pts = index
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
    return path


def _signal(colours: np.ndarray, coding: Coding) -> np.ndarray:
    """R'G'B', 0 to 1."""
    if coding.transfer == ColorTrc.BT709:
        return colours
    light = WHITE * np.clip(colours, 0, None) ** 2.4 @ _FROM_BT709[coding.primaries].T
    if coding.transfer == ColorTrc.SMPTE2084:
        power = (light / 10_000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    if coding.transfer == ColorTrc.ARIB_STD_B67:
        screen = light / 1000
        luminance = np.maximum(screen @ _LUMINANCES[coding.primaries], 1e-9)[..., None]
        scene = np.clip(screen * luminance ** (1 / 1.2 - 1), 0, 1)
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
    return (light / WHITE) ** (1 / 2.4)


def _planes(signal: np.ndarray, coding: Coding) -> list[np.ndarray]:
    """Y', Cb and Cr; 4:2:0."""
    red, blue = _SHARES[coding.matrix]
    luma = signal @ [red, 1 - red - blue, blue]
    differences = [(signal[..., 2] - luma) / (2 - 2 * blue), (signal[..., 0] - luma) / (2 - 2 * red)]
    bits = 10 if coding.pix_fmt.endswith("10le") else 8
    unit, most = 1 << (bits - 8), (1 << bits) - 1
    luma_span, colour_span, black = (most, most, 0) if coding.is_full else (219 * unit, 224 * unit, 16 * unit)
    planes = [black + luma_span * luma, *(128 * unit + colour_span * each[::2, ::2] for each in differences)]
    return [np.clip(np.rint(plane), 0, most).astype("<u2" if bits > 8 else "u1") for plane in planes]
