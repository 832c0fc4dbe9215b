"""Where one shot ends and the next begins: shots.json."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from shared.media.artifacts import ArtifactFolder
from shared.media.sinks import Pictures
from shared.media.weights import weights_file
from shared.operations import Shots

_SIZE: Final = (64, 36)
#: What the usual shots are found in.
LUMA: Final = Pictures(size=_SIZE, pixels="gray")
_COLOUR: Final = Pictures(size=(48, 27), pixels="rgb24")
_USUAL_THRESHOLD: Final = 12.0
_WEIGHTS: Final = "transnetv2.pth"


@dataclass(frozen=True, slots=True)
class Shot:
    #: The index of its first frame.
    first: int
    #: Seconds from the start of the file.
    start: float
    end: float


class _Judge(Protocol):
    """Finds cuts in small pictures."""

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """The next picture."""

    def cuts(self) -> list[int]:
        """Indexes of the frames that begin a shot, once all are added."""


class ShotFinder:
    """Sees small pictures; holds a few numbers for each."""

    needs: Pictures

    def __init__(
        self,
        operation: Shots,
        span: tuple[float, float],
        folder: ArtifactFolder,
        *,
        weights: Path | None = None,
        hardware: bool = False,
    ) -> None:
        """`span` is where the video begins and ends, in seconds; `weights` the folder of the small models.

        With `hardware`, a network works on the GPU where torch has one.
        Raises Misconfigured when the model's weights are missing.
        """
        self._operation, self._span, self._folder = operation, span, folder
        self._threshold = (operation.threshold or _USUAL_THRESHOLD) if operation.model == "luma" else None
        self._judge, self.needs = _judge(self._threshold, weights, hardware=hardware)
        self._times = array("d")
        self._keyframes = array("d")
        self._found: list[Shot] | None = None

    @property
    def is_usual(self) -> bool:
        """Whether this finds what `shots` without parameters does."""
        return self._threshold == _USUAL_THRESHOLD

    def see(self, pixels: NDArray[np.uint8], frame: VideoFrame, moment: float) -> None:
        self._judge.add(pixels)
        self._times.append(moment)
        if frame.key_frame:
            self._keyframes.append(moment)

    def finish(self) -> None:
        """The last shot ends with the film."""
        start, end = self._span
        firsts = [0, *self._judge.cuts()]
        # Never before the last picture: a length that was only estimated may be short.
        bounds = [start, *(self._times[index] for index in firsts[1:]), max(end, self._times[-1])]
        self._found = [Shot(first, *bound) for first, bound in zip(firsts, pairwise(bounds), strict=True)]

    def found(self) -> list[Shot]:
        """All shots in their order, from the video's start to its end without holes; after the pass."""
        assert self._found is not None  # noqa: S101
        return self._found

    def keyframes(self) -> list[float]:
        """When the video has keyframes, in seconds; after the pass."""
        return list(self._keyframes)

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()

    def write(self) -> dict[str, Any]:
        """Write shots.json; answers the summary."""
        shots = [{"start": round(shot.start, 3), "end": round(shot.end, 3)} for shot in self.found()]
        document = {
            "model": self._operation.model,
            "threshold": self._threshold,
            "frames": len(self._times),
            "cuts": [shot["start"] for shot in shots[1:]],
            "shots": shots,
        }
        self._folder.write_json("shots.json", document)
        return {"count": len(shots), "frames": len(self._times)}


def _judge(threshold: float | None, weights: Path | None, *, hardware: bool) -> tuple[_Judge, Pictures]:
    """The luma rule, or without a threshold the network. Torch takes a second to import: not for other operations."""
    if threshold is not None:
        from shared.media.cuts import LumaJudge

        return LumaJudge(_SIZE, threshold), LUMA
    import torch

    from shared.media.transnet import TransitionJudge, network

    device = "cuda" if hardware and torch.cuda.is_available() else "cpu"
    return TransitionJudge(network(weights_file(weights, _WEIGHTS)), device), _COLOUR
