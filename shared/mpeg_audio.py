"""Frame headers of MPEG audio (MP3 and its kin) and of AAC in ADTS: both begin with the same run of ones.

A run of ones alone proves nothing (UTF-16 text begins with one), so a stream counts only where the length in one
frame's header leads to the next frame. Layouts: ISO/IEC 11172-3 section 2.4.1 and 14496-3 annex 1.A.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MPEG1, _LAYER_1, _LAYER_2, _LAYER_3 = 3, 3, 2, 1
_SAMPLE_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
#: kbit/s by (is MPEG-1, layer), for bit rate indices 1–14.
_BIT_RATES: Final = {
    (True, _LAYER_1): tuple(range(32, 449, 32)),
    (True, _LAYER_2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, _LAYER_3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, _LAYER_1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, _LAYER_2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _LAYER_3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HEADER_BYTES: Final = 7


def is_mpeg_audio(data: bytes) -> bool:
    """Does `data` begin with two frames (or with exactly one whole frame) of MPEG audio?"""
    return is_frame_chain(data, _mpeg_frame_length)


def is_adts(data: bytes) -> bool:
    """Does `data` begin with two frames (or with exactly one whole frame) of AAC in ADTS?"""
    return is_frame_chain(data, _adts_frame_length)


def is_frame_chain(data: bytes, frame_length: Callable[[bytes], int | None]) -> bool:
    """Does `data` begin with two frames (or with exactly one whole frame), by the length that each header states?"""
    first = frame_length(data[:_HEADER_BYTES])
    if first is None or first > len(data):
        return False
    return first == len(data) or frame_length(data[first : first + _HEADER_BYTES]) is not None


def _mpeg_frame_length(header: bytes) -> int | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate_index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in _SAMPLE_RATES or layer == 0 or bit_rate_index in (0, 15) or rate_index == 3:
        return None
    bits_per_second = 1000 * _BIT_RATES[version == _MPEG1, layer][bit_rate_index - 1]
    sample_rate = _SAMPLE_RATES[version][rate_index]
    if layer == _LAYER_1:
        return (12 * bits_per_second // sample_rate + padding) * 4
    samples_per_bit = 72 if layer == _LAYER_3 and version != _MPEG1 else 144
    return samples_per_bit * bits_per_second // sample_rate + padding


def _adts_frame_length(header: bytes) -> int | None:
    if len(header) < _HEADER_BYTES or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length >= _HEADER_BYTES else None
