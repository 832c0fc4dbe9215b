"""Transitions of any kind (cuts, dissolves, fades), found by TransNet V2 window by window while frames come in."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.errors import Misconfigured
from shared.media.transnet_network import SIZE, TransNetV2

#: Frames the network sees at once, and how many of them at each end only help to judge the others.
_WINDOW: Final = 100
_CONTEXT: Final = 25
_STEP: Final = _WINDOW - 2 * _CONTEXT
#: As its authors have it.
_THRESHOLD: Final = 0.5
#: Frames that at least are under way in a dissolve or a fade (a cut has one), and how far apart a fade through black
#: may have its halves.
_GRADUAL: Final = 3
_APART: Final = 12


class TransitionJudge:
    """Judges frame by frame; holds one window of them, whatever the film's length."""

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        """`network` takes and gives what TransNetV2 does; it is brought to the device with the first picture."""
        self._network = network
        self._device = device
        width, height = SIZE
        self._window = np.empty((_WINDOW, height, width, 3), np.uint8)
        self._held = 0
        self._count = 0
        self._probabilities: list[NDArray[np.float32]] = []

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """The next picture, `[27, 48, 3]` in RGB; it is copied."""
        if not self._count:  # what was before the first frame looked like it
            self._window[:_CONTEXT] = pixels
            self._held = _CONTEXT
            # Not sooner: FFmpeg's decoder cannot share a GPU that torch was at first.
            self._network.to(self._device)
        self._count += 1
        self._push(pixels)

    def probabilities(self) -> NDArray[np.float32]:
        """Of each frame, as the network has them: `[frames, 2]`; after the last frame."""
        last = self._window[self._held - 1].copy()
        while len(self._probabilities) * _STEP < self._count:
            self._push(last)
        return np.concatenate(self._probabilities)[: self._count]

    def cuts(self) -> list[int]:
        """Indexes of the frames that begin a shot; after the last frame."""
        return starts(self.probabilities())

    def _push(self, pixels: NDArray[np.uint8]) -> None:
        self._window[self._held] = pixels
        self._held += 1
        if self._held == _WINDOW:
            with torch.inference_mode():
                judged = self._network(torch.from_numpy(self._window).to(self._device).unsqueeze(0))
            self._probabilities.append(judged[0, _CONTEXT:-_CONTEXT].cpu().numpy())
            self._window[: 2 * _CONTEXT] = self._window[_STEP:]
            self._held = 2 * _CONTEXT


@cache
def network(weights: Path) -> TransNetV2:
    """The network with its weights, loaded once. Raises Misconfigured when the file does not hold them."""
    with torch.device("meta"):  # nothing is drawn by chance: the process's random numbers stay as they are
        net = TransNetV2()
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        net.load_state_dict(state, assign=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise Misconfigured(f"{weights.name} holds no weights of TransNet V2: {error}") from error
    return net.eval()


def starts(probabilities: NDArray[np.float32]) -> list[int]:
    """Indexes of the frames that begin a shot: after the middle of each transition.

    The network's answer for the middle is sure of cuts, but points to several frames of a long fade or to none; there
    the answer for what is under way decides.
    """
    is_middle, under_way = (probabilities > _THRESHOLD).T
    gradual: list[tuple[int, int]] = []
    for begin, end in _runs(under_way):
        if end - begin < _GRADUAL:
            continue
        begins = gradual.pop()[0] if gradual and begin - gradual[-1][1] <= _APART else begin
        gradual.append((begins, end))
    for begin, end in gradual:
        is_middle[begin : end + 1] = False
        is_middle[(begin + end - 1) // 2] = True
    indexes = [(begin + end - 1) // 2 + 1 for begin, end in _runs(is_middle)]
    return [index for index in indexes if index < len(probabilities)]


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """From where to where (exclusive) there are flags."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
