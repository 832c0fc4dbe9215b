"""The speech model: loaded once, shared by all threads, on the GPU where there is one."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Final

import ctranslate2
from faster_whisper import WhisperModel

from shared.errors import Unavailable

_log = logging.getLogger(__name__)

#: On a CPU 8-bit weights drop whole clauses (a small model's above all) and are hardly faster.
_COMPUTE_TYPES: Final = {"cuda": "float16", "cpu": "float32"}


def has_gpu() -> bool:
    """Is there a GPU that CTranslate2 can use?"""
    return bool(ctranslate2.get_cuda_device_count())


class SpeechModel:
    """A Whisper model in CTranslate2's format, loaded on first use."""

    def __init__(self, model: str | Path, *, device: str = "auto", compute_type: str = "auto") -> None:
        """`device` is auto, cpu or cuda; `compute_type` is auto or one of CTranslate2's names."""
        self._name = str(model)
        self.device = ("cuda" if has_gpu() else "cpu") if device == "auto" else device
        self._compute_type = _COMPUTE_TYPES.get(self.device, "default") if compute_type == "auto" else compute_type
        self._lock = threading.Lock()
        self._loaded: WhisperModel | None = None

    @property
    def name(self) -> str:
        """The model's name: the last part of its path."""
        return Path(self._name).name

    def get(self) -> WhisperModel:
        """The loaded model; the first caller loads it and the others wait.

        Raises Unavailable when it cannot be loaded: no such folder, no such device, no memory.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> WhisperModel:
        begun = time.monotonic()
        try:
            model = WhisperModel(self._name, device=self.device, compute_type=self._compute_type, local_files_only=True)
        except (RuntimeError, ValueError, OSError) as error:
            raise Unavailable(f"the speech model {self.name} cannot be loaded on {self.device}: {error}") from error
        _log.info(
            "speech model loaded",
            extra={
                "event": "model.loaded",
                "model": self.name,
                "device": self.device,
                "compute_type": self._compute_type,
                "seconds": round(time.monotonic() - begun, 3),
            },
        )
        return model
