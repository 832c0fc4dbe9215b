"""What Whisper hears: log-mel spectrograms of its windows, in torch, on the device where the model is.

As in https://github.com/openai/whisper/blob/main/whisper/audio.py: a window that is not full is filled with silence
before the transform. (faster-whisper fills the spectrogram with zeros, which is a loud noise to the model.)
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.media.torch_threads import take_one_core

_FFT = 400
_HOP = 160
_LEAST = 1e-10
#: Below the loudest value of the window by so much (in powers of ten), all is silence.
_RANGE = 8.0


class LogMel:
    """Spectrograms by the mel filters of one model."""

    def __init__(self, filters: NDArray[np.float32], device: str) -> None:
        """`filters` [mels, 201]."""
        take_one_core()
        self._filters = torch.from_numpy(filters).to(device)
        self._taper = torch.hann_window(_FFT, device=device)

    @torch.inference_mode()
    def __call__(self, samples: NDArray[np.float32]) -> Tensor:
        """Of `samples` [windows, samples] at 16 kHz: [windows, mels, samples / 160], contiguous, on the device."""
        sound = torch.from_numpy(samples).to(self._filters.device)
        spectrum = torch.stft(sound, _FFT, _HOP, window=self._taper, return_complex=True)
        powers = spectrum[..., :-1].abs() ** 2
        mels = (self._filters @ powers).clamp(min=_LEAST).log10()
        mels = torch.maximum(mels, mels.amax(dim=(1, 2), keepdim=True) - _RANGE)
        found = ((mels + 4.0) / 4.0).contiguous()
        if found.is_cuda:
            torch.cuda.current_stream().synchronize()  # CTranslate2 reads it on a stream of its own
        return found
