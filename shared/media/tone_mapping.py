"""Pictures in high dynamic range or wide gamut, as a screen without either shows them.

The light that the numbers stand for (PQ: SMPTE ST 2084; HLG: ITU-R BT.2100) is brought from the primaries that the film
states into BT.709's (BT.2087) and below diffuse white, 203 cd/m² (BT.2408), by the curve of BT.2390 section 5.4.1: it
leaves dark and middle tones as they are and bends what is brighter. The outcome is encoded for a BT.1886 screen, as SDR
video is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

from shared.media.mastering import content_light_level, mastering_display

Floats = NDArray[np.float32]

#: Luminances are in cd/m² ("nits").
_DIFFUSE_WHITE: Final = 203.0
#: Where nothing is said: what most films are graded on, and HLG's reference screen.
_USUAL_PEAK: Final = 1000.0
_PQ_PEAK: Final = 10_000.0
_SDR_GAMMA: Final = 2.4
_HLG_SYSTEM_GAMMA: Final = 1.2
_CODES: Final = 1 << 16
#: PQ's constants, as ST 2084 names them.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

#: Where red, green and blue are in CIE's x, y: BT.709, BT.2020 and Display P3 (SMPTE EG 432-1). All have D65's white.
_PRIMARIES: Final[Mapping[int, tuple[tuple[float, float], ...]]] = {
    ColorPrimaries.BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D65: Final = (0.3127, 0.3290)
_WIDE: Final = frozenset({ColorPrimaries.BT2020, ColorPrimaries.SMPTE432})


def is_beyond_sdr(frame: VideoFrame) -> bool:
    """Whether the frame's numbers mean other light than SDR's: PQ, HLG, or primaries wider than BT.709's."""
    return is_hdr(frame) or frame.color_primaries in _WIDE


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame says it is PQ or HLG."""
    return frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


def to_sdr(codes: NDArray[np.uint16], frame: VideoFrame) -> NDArray[np.uint8]:
    """The pixels in SDR, `[height, width, 3]`; `codes` are RGB of 16 bits, full range, taken from this frame."""
    # What does not say, or names primaries that no such film has, has those of BT.2100.
    primaries = frame.color_primaries if frame.color_primaries in _PRIMARIES else ColorPrimaries.BT2020
    light = _light(codes, frame.color_trc, primaries)
    light = _inside_gamut(light @ _to_bt709(primaries).T)
    light = _below_white(light, _peak(frame))
    encoded: Floats = np.clip(light / _DIFFUSE_WHITE, 0, 1) ** (1 / _SDR_GAMMA)
    return np.rint(encoded * 255).astype(np.uint8)


def _light(codes: NDArray[np.uint16], transfer: int, primaries: int) -> Floats:
    """Luminance of each channel."""
    light = _luminances(transfer)[codes]
    if transfer == ColorTrc.ARIB_STD_B67:  # the screen's part (OOTF) depends on the pixel's own luminance
        scene = np.maximum(light @ _luminance(primaries), 1e-6)[..., np.newaxis]
        light *= _USUAL_PEAK * scene ** (_HLG_SYSTEM_GAMMA - 1)
    return light


@cache
def _luminances(transfer: int) -> Floats:
    """What each code of 16 bits stands for; HLG's are of the scene, 0 to 1."""
    signal = np.arange(_CODES, dtype=np.float64) / (_CODES - 1)
    if transfer == ColorTrc.SMPTE2084:
        light = _from_pq(signal)
    elif transfer == ColorTrc.ARIB_STD_B67:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    else:
        light = _DIFFUSE_WHITE * signal**_SDR_GAMMA
    return light.astype(np.float32)


@cache
def _to_bt709(primaries: int) -> Floats:
    """From linear RGB in these primaries to BT.709's."""
    matrix: Floats = np.linalg.solve(_to_xyz(ColorPrimaries.BT709), _to_xyz(primaries)).astype(np.float32)
    return matrix


@cache
def _luminance(primaries: int) -> Floats:
    """The shares of red, green and blue."""
    shares: Floats = _to_xyz(primaries)[1].astype(np.float32)
    return shares


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """From linear RGB to CIE XYZ, by SMPTE RP 177: equal parts of all three are white."""
    unscaled = np.array([_xyz(x, y) for x, y in _PRIMARIES[primaries]]).T
    scaled: NDArray[np.float64] = unscaled * np.linalg.solve(unscaled, np.array(_xyz(*_D65)))
    return scaled


def _xyz(x: float, y: float) -> tuple[float, float, float]:
    """Of luminance 1."""
    return x / y, 1.0, (1 - x - y) / y


def _inside_gamut(light: Floats) -> Floats:
    """Colours that BT.709 cannot show, mixed with gray of their own luminance until it can: the hue stays."""
    lowest = light.min(axis=-1, keepdims=True)
    gray = np.maximum(light @ _luminance(ColorPrimaries.BT709), 0)[..., np.newaxis]
    kept = np.where(lowest < 0, gray / np.maximum(gray - lowest, 1e-6), 1)
    inside: Floats = np.maximum(gray + (light - gray) * kept, 0)
    return inside


def _below_white(light: Floats, peak: float) -> Floats:
    """BT.2390's curve, on the brightest channel: the others keep their proportion to it, and so the colour."""
    if peak <= _DIFFUSE_WHITE:
        return light
    top = float(_to_pq(np.float64(peak)))
    white = float(_to_pq(np.float64(_DIFFUSE_WHITE))) / top
    knee = 1.5 * white - 0.5
    brightest = light.max(axis=-1, keepdims=True)
    signal = np.minimum(_to_pq(brightest) / top, 1)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    share: Floats = np.where(signal > knee, _from_pq(bent * top) / np.maximum(brightest, 1e-6), 1)
    return light * share.astype(np.float32)


def _peak(frame: VideoFrame) -> float:
    """How bright the film gets."""
    if not is_hdr(frame):
        return _DIFFUSE_WHITE
    stated = _stated_peak(frame) if frame.color_trc == ColorTrc.SMPTE2084 else 0.0
    return min(max(stated or _USUAL_PEAK, _DIFFUSE_WHITE), _PQ_PEAK)


def _stated_peak(frame: VideoFrame) -> float:
    """MaxCLL, else the brightest the mastering screen could show; 0 when neither is said."""
    light, display = content_light_level(frame), mastering_display(frame)
    return float((light and light["max_cll"]) or (display or {}).get("max_luminance", 0.0))


def _to_pq(light: NDArray[np.floating] | np.floating) -> NDArray[np.floating]:
    """Luminance to PQ's signal, 0 to 1."""
    power = (np.asarray(light) / _PQ_PEAK) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _from_pq(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    power = np.asarray(signal) ** (1 / _M2)
    return _PQ_PEAK * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
