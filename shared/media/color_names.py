"""What FFmpeg calls the code points of ITU-T H.273 that say what the numbers of a picture mean."""

from __future__ import annotations

from typing import Final

#: https://ffmpeg.org/doxygen/trunk/group__lavu__misc__pixdesc.html, as ffprobe writes them; 2 is "unspecified".
PRIMARIES: Final = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS: Final = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
MATRICES: Final = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
RANGES: Final = {1: "tv", 2: "pc"}
#: PQ (SMPTE ST 2084) and HLG (ARIB STD-B67).
HDR_TRANSFERS: Final = frozenset({"smpte2084", "arib-std-b67"})
