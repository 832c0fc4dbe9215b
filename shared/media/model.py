"""The speech model: loaded once, shared by all threads, on the GPU where there is one."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

import ctranslate2
from faster_whisper import WhisperModel

from shared.errors import Unavailable
from shared.media.recognizer import Recognizer

_log = logging.getLogger(__name__)

#: On a CPU, 8-bit weights save about a quarter of the time, and small models mishear more words with them.
_COMPUTE_TYPES: Final = {"cuda": "float16", "cpu": "float32"}
_MOST_THREADS: Final = 8
#: Windows in a batch: from more a decoder gains little, a CPU nothing, and each takes 30 MB.
_WINDOWS: Final = {"cuda": 8, "cpu": 4}


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
        self._recognizer: Recognizer | None = None

    @property
    def name(self) -> str:
        """The model's name: the last part of its path."""
        return Path(self._name).name

    @property
    def windows_at_once(self) -> int:
        """How many windows of 30 s are best heard together."""
        return _WINDOWS[self.device]

    def get(self) -> WhisperModel:
        """The loaded model; the first caller loads it and the others wait.

        Raises Unavailable when it cannot be loaded: no such folder, no such device, no memory.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def recognizer(self) -> Recognizer:
        """The loaded model at work. Raises as `get`."""
        model = self.get()
        with self._lock:
            if self._recognizer is None:
                self._recognizer = Recognizer(model)
            return self._recognizer

    def _load(self) -> WhisperModel:
        begun = time.monotonic()
        try:
            model = WhisperModel(
                self._name,
                device=self.device,
                compute_type=self._compute_type,
                cpu_threads=_cpu_threads(),
                local_files_only=True,
            )
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


def _cpu_threads() -> int:
    """One for each core this process may use: CTranslate2 would take four, which wait for each other on two cores."""
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
