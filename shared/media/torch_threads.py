"""How many of a CPU's cores torch takes."""

from __future__ import annotations

import torch


def take_one_core() -> None:
    """For this process, whose tensors are small: threads that wait for each other take longer than the work.

    Measured with the voice detector on two busy cores: 5 to 15 times. Decoders and the speech model have threads of
    their own.
    """
    torch.set_num_threads(1)
