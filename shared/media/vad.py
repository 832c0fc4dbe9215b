"""Where there is speech: the probability of it for every 32 ms of a recording."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import Unavailable
from shared.media.audio import Samples
from shared.media.weights import weights_file

if TYPE_CHECKING:
    from shared.media.vad_network import VoiceNetwork

_log = logging.getLogger(__name__)

_WEIGHTS: Final = "silero_vad.jit"
#: Windows in one call: a minute of sound, a few megabytes of intermediate results.
_BLOCK: Final = 2048


class VoiceDetector:
    """Silero VAD, loaded on first use; one for a process, shared by its threads.

    On the CPU, a GPU or not: an hour takes two seconds, and the GPU is the speech model's.
    """

    def __init__(self, weights: Path | None) -> None:
        """`weights` is the folder that the setting WEIGHTS names."""
        self._weights = weights
        self._lock = threading.Lock()
        self._loaded: VoiceNetwork | None = None

    def probabilities(
        self, samples: Samples, gain: float = 1.0, progress: Callable[[float], None] | None = None
    ) -> NDArray[np.float32]:
        """The probability of speech in each 512 samples (the last ones filled up with silence).

        `samples` are 16 kHz mono; multiplied by `gain` on the way, they lie in [-1, 1]. What is held besides them does
        not grow with their number. `progress` gets the fraction done after each minute; what it raises ends the work.

        Raises Misconfigured when there are no weights, Unavailable when they cannot be loaded.
        """
        network = self._network()
        import torch

        from shared.media.vad_network import CONTEXT, WINDOW

        count = -(-len(samples) // WINDOW)
        found = np.empty(count, np.float32)
        state = None
        with torch.inference_mode():
            for first in range(0, count, _BLOCK):
                after = min(first + _BLOCK, count)
                block = _piece(samples, first * WINDOW - CONTEXT, after * WINDOW) * np.float32(gain)
                probabilities, state = network(torch.from_numpy(block), state)
                found[first:after] = probabilities.numpy()
                if progress is not None:
                    progress(after / count)
        return found

    def _network(self) -> VoiceNetwork:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> VoiceNetwork:
        begun = time.monotonic()
        script = weights_file(self._weights, _WEIGHTS)
        # Only here: torch takes most of a second to import, and many jobs need none of it.
        from shared.media.torch_threads import take_one_core
        from shared.media.vad_network import load

        take_one_core()
        try:
            network = load(script)
        except (RuntimeError, KeyError) as error:
            raise Unavailable(f"the voice detector cannot be loaded: {error}") from error
        seconds = round(time.monotonic() - begun, 3)
        _log.info("voice detector loaded", extra={"event": "vad.loaded", "seconds": seconds})
        return network


def _piece(samples: Samples, start: int, end: int) -> NDArray[np.float32]:
    """A copy of these samples, with silence where there are none."""
    piece = np.zeros(end - start, np.float32)
    inside = samples[max(start, 0) : end]
    piece[max(-start, 0) :][: len(inside)] = inside
    return piece
