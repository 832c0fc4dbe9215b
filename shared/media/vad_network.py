"""Silero VAD 6.2 in plain torch: the same numbers as its TorchScript, for all windows at once.

The script (https://github.com/snakers4/silero-vad, MIT) goes window by window. But only the LSTM needs the window
before: spectrum and convolutions of many windows are one call each, and the LSTM then runs over them in another.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Samples for one probability, and those before them that are looked at as well.
WINDOW: Final = 512
CONTEXT: Final = 64
_FRAME: Final = 256
_HOP: Final = 128
_FEATURES: Final = 128
#: Channels and stride of the convolutions.
_LAYERS: Final = ((128, 1), (64, 2), (64, 2), (128, 1))

#: The LSTM's (h, c) after the windows so far; None before the first.
State = tuple[Tensor, Tensor] | None


class VoiceNetwork(nn.Module):
    """Probabilities of speech at 16 kHz; remembers nothing between calls."""

    taper: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taper", torch.empty(_FRAME))
        channels = _FRAME // 2 + 1
        layers: list[nn.Module] = []
        for features, stride in _LAYERS:
            layers += [nn.Conv1d(channels, features, 3, stride, padding=1), nn.ReLU()]
            channels = features
        self.encoder = nn.Sequential(*layers)
        self.memory = nn.LSTM(channels, _FEATURES)
        self.judge = nn.Sequential(nn.ReLU(), nn.Linear(_FEATURES, 1), nn.Sigmoid())

    def forward(self, samples: Tensor, state: State = None) -> tuple[Tensor, State]:
        """One probability for each window, and the state for the next call.

        `samples` [CONTEXT + n * WINDOW] begins with the last samples of the windows before, or zeros.
        """
        windows = samples.unfold(0, CONTEXT + WINDOW, WINDOW)
        mirrored = functional.pad(windows, (0, _FRAME - _HOP - CONTEXT), mode="reflect")
        frames = mirrored.unfold(1, _FRAME, _HOP)
        spectrum = torch.fft.rfft(frames * self.taper).abs()  # [n, frames, bins]
        features = self.encoder(spectrum.transpose(1, 2)).squeeze(2)
        memories, state = self.memory(features, state)
        return self.judge(memories).squeeze(1), state


def load(script: Path) -> VoiceNetwork:
    """The network with the weights of `silero_vad.jit`. Raises RuntimeError when the file is no such thing."""
    with warnings.catch_warnings():
        # torch.jit is deprecated, and yet the only format these weights come in: the wheel's safetensors are others.
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = torch.jit.load(str(script), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    network = VoiceNetwork()
    network.load_state_dict({ours: theirs[f"_model.{name}"] for ours, name in _names()} | _reshaped(theirs))
    return network.eval()


def _names() -> list[tuple[str, str]]:
    convolutions = [
        (f"encoder.{2 * layer}.{kind}", f"encoder.{layer}.reparam_conv.{kind}")
        for layer in range(len(_LAYERS))
        for kind in ("weight", "bias")
    ]
    gates = [(f"memory.{name}_l0", f"decoder.rnn.{name}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return [*convolutions, *gates, ("judge.1.bias", "decoder.decoder.2.bias")]


def _reshaped(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        # Their transform is a convolution with tapered waves; the cosine of frequency zero is the taper itself.
        "taper": theirs["_model.stft.forward_basis_buffer"][0, 0],
        "judge.1.weight": theirs["_model.decoder.decoder.2.weight"].squeeze(2),
    }
