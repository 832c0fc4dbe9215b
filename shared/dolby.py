"""Frame headers of AC-3 and Enhanced AC-3 (ETSI TS 102 366, sections 4.4.1 and annex E 1.3.1)."""

from __future__ import annotations

from typing import Final

from shared.mpeg_audio import is_frame_chain

_SYNC: Final = b"\x0b\x77"
_BIT_RATES: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_SAMPLE_RATES: Final = (48000, 44100, 32000)
_SAMPLES_A_FRAME: Final = 1536
#: The last bit stream identification of AC-3; E-AC-3 has those above, up to 16.
_LAST_AC3, _LAST_EAC3 = 10, 16


def is_ac3(data: bytes) -> bool:
    """Does `data` begin with two frames (or with exactly one whole frame) of AC-3 or E-AC-3?"""
    return is_frame_chain(data, _frame_length)


def _frame_length(header: bytes) -> int | None:
    """Bytes from this sync word to the next; None where this is no header."""
    if len(header) < 6 or header[:2] != _SYNC:
        return None
    identification = header[5] >> 3
    if _LAST_AC3 < identification <= _LAST_EAC3:
        return 2 * (((header[2] & 7) << 8 | header[3]) + 1)
    rate, size = header[4] >> 6, header[4] & 0x3F
    if identification > _LAST_EAC3 or rate >= len(_SAMPLE_RATES) or size >= 2 * len(_BIT_RATES):
        return None
    words = _BIT_RATES[size >> 1] * 1000 * _SAMPLES_A_FRAME // 16 // _SAMPLE_RATES[rate]
    # At 44.1 kHz frames have one word more where the code is odd.
    return 2 * (words + (size & 1 if _SAMPLE_RATES[rate] == 44100 else 0))
