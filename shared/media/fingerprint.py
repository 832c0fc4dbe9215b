"""What a file is known by again: fingerprint.json, with its SHA-256 and a perceptual hash of each shot.

The hash has 64 bits: which of a picture's 8 x 8 lowest frequencies (the constant one aside) are above their median, by
DCT (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1). It survives
another codec, size, frame rate or bit rate; it does not survive a crop, a border or a mirror.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from shared.media.artifacts import ArtifactFolder
from shared.media.pictures import orientation
from shared.media.shots import LUMA, ShotFinder
from shared.media.sinks import Pictures
from shared.source import Source, open_source, size_of

_PIECE_BYTES: Final = 2**20
#: Frequencies in each direction.
_SIDE: Final = 8
#: A picture plainer than this (standard deviation of luma) is like any other: black, white, a title card's ground.
_PLAIN: Final = 4.0
#: Hashes of one picture and its copy differ in this many of their 64 bits at most; those of two pictures in about 32.
SAME_PICTURE_BITS: Final = 12
#: A shot's pictures that differ in no more than this many are one.
_NEW_PICTURE_BITS: Final = 7
#: Of a single picture, which has no length, seconds.
_MOMENT: Final = 0.001


class Fingerprinter:
    """Sees small pictures where there is video; holds eight bytes for each."""

    needs: Pictures = LUMA

    def __init__(self, finder: ShotFinder | None, folder: ArtifactFolder) -> None:
        """`finder` sees the same pictures and finds the usual shots; None where there is no video."""
        self._folder = folder
        self._finder = finder
        self._hashes = array("Q")

    def see(self, pixels: NDArray[np.uint8], frame: VideoFrame, moment: float) -> None:
        self._hashes.append(perceptual_hash(_upright(pixels, frame)))

    def finish(self) -> None:
        """Nothing is held back."""

    @property
    def has_pictures(self) -> bool:
        """Whether this wants to see anything."""
        return self._finder is not None

    def write(self, source: Source, progress: Callable[[float], None]) -> dict[str, Any]:
        """Read the whole file for its SHA-256 and write fingerprint.json; answers the summary."""
        digest, size = hashlib.sha256(), size_of(source)
        with open_source(source) as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                progress(file.tell() / size)
        shots = self._shots()
        facts = {"sha256": digest.hexdigest(), "size_bytes": size, "shots": shots}
        self._folder.write_json("fingerprint.json", facts)
        return {"sha256": facts["sha256"], "shots": len(shots)}

    def _shots(self) -> list[dict[str, Any]]:
        if self._finder is None:
            return []
        shots = self._finder.found()
        firsts = [*(shot.first for shot in shots), len(self._hashes)]
        return [
            {
                "start": round(shot.start, 3),
                "end": round(shot.end, 3),
                "hashes": [f"{each:016x}" for each in distinct(self._hashes[first:after])],
            }
            for shot, (first, after) in zip(shots, pairwise(firsts), strict=True)
        ]


def perceptual_hash(luma: NDArray[np.uint8]) -> int:
    """The 64 bits of one picture of any shape, lowest frequency first; 0 for a plain one."""
    if luma.std() < _PLAIN:
        return 0
    height, width = luma.shape
    frequencies = _waves(height) @ luma.astype(np.float32) @ _waves(width).T
    bits = (frequencies > np.median(frequencies)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distinct(hashes: Iterable[int]) -> list[int]:
    """Of a shot's pictures in their order those that differ from the one kept before: one of a still shot.

    A copy may have other frames and other cuts: whatever it shows is near one of these. Plain pictures are left out.
    """
    kept: list[int] = []
    for each in hashes:
        if each and (not kept or (each ^ kept[-1]).bit_count() > _NEW_PICTURE_BITS):
            kept.append(each)
    return kept


def similarity(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How much two files (their fingerprint.json) have in common: 1 for a copy, 0 for strangers.

    It is the share of both films' time, taken together, whose pictures the other one has, too: hashes that differ in at
    most SAME_PICTURE_BITS bits. A shot's hashes share its time; shots without any do not count.
    """
    if one["sha256"] == other["sha256"]:
        return 1.0
    (hashes, seconds), (others, other_seconds) = _told(one), _told(other)
    is_shared = np.zeros(len(hashes), bool)
    is_other_shared = np.zeros(len(others), bool)
    for index, each in enumerate(hashes):  # row by row: an hour has thousands
        near = np.bitwise_count(others ^ each) <= SAME_PICTURE_BITS
        is_shared[index] = near.any()
        is_other_shared |= near
    total = seconds.sum() + other_seconds.sum()
    return float((seconds[is_shared].sum() + other_seconds[is_other_shared].sum()) / total) if total else 0.0


def _told(fingerprint: Mapping[str, Any]) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """All hashes, and the seconds that each stands for."""
    hashes: list[int] = []
    seconds: list[float] = []
    for shot in fingerprint["shots"]:
        count = len(shot["hashes"])
        hashes += [int(each, 16) for each in shot["hashes"]]
        seconds += [max(shot["end"] - shot["start"], _MOMENT) / count] * count if count else []
    return np.array(hashes, np.uint64), np.array(seconds)


def _upright(pixels: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    """As people see them: a phone's video is stored lying down, and its copies are not."""
    turned = orientation(frame)
    return np.rot90(pixels[:, ::-1] if turned.is_mirrored else pixels, -turned.rotation // 90)


@cache
def _waves(samples: int) -> NDArray[np.float32]:
    """The cosines of frequencies 1 to 8 over so many samples (DCT-II)."""
    frequency = np.arange(1, _SIDE + 1)[:, np.newaxis]
    place = (np.arange(samples) + 0.5) / samples
    return np.cos(np.pi * frequency * place).astype(np.float32)
