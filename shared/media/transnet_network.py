"""TransNet V2: a network that tells where one shot of a film goes over into the next (arXiv:2008.04838).

After https://github.com/soCzech/TransNetV2 (inference-pytorch); modules are named as its weights are.

MIT License. Copyright (c) 2020 Tomáš Souček

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Width and height of the pictures it looks at.
SIZE: Final = (48, 27)
#: Each frame is compared with so many around it, itself in the middle.
_AROUND: Final = 101
_FILTERS: Final = 16
_DILATIONS: Final = (1, 2, 4, 8)


class TransNetV2(nn.Module):
    """Frames `[batch, frames, 27, 48, 3]`, RGB in uint8, to probabilities `[batch, frames, 2]`.

    The first is that a transition has its middle between this frame and the next, the other that it is under way.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = [_FILTERS, 2 * _FILTERS, 4 * _FILTERS]
        inputs = [3, *(len(_DILATIONS) * width for width in widths)]
        self.SDDCNN = nn.ModuleList(map(_Stack, inputs, widths))
        self.frame_sim_layer = _FrameSimilarity(sum(inputs[1:]))
        self.color_hist_layer = _ColorHistograms()
        self.fc1 = nn.Linear(inputs[-1] * 3 * 6 + 2 * 128, 1024)
        self.cls_layer1 = nn.Linear(1024, 1)
        self.cls_layer2 = nn.Linear(1024, 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.permute(0, 4, 1, 2, 3).float() / 255
        blocks = []
        for stack in self.SDDCNN:
            x = stack(x)
            blocks.append(x)
        x = x.permute(0, 2, 3, 4, 1).flatten(2)
        x = torch.cat([self.color_hist_layer(frames), self.frame_sim_layer(blocks), x], 2)
        x = functional.relu(self.fc1(x))
        return torch.cat([self.cls_layer1(x), self.cls_layer2(x)], 2).sigmoid()


class _Stack(nn.Module):
    """Two dilated cells, a shortcut from the first, and half the width and height."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.DDCNN = nn.ModuleList([_Cell(inputs, filters), _Cell(len(_DILATIONS) * filters, filters)])

    def forward(self, x: Tensor) -> Tensor:
        shortcut = functional.relu(self.DDCNN[0](x))
        x = functional.relu(self.DDCNN[1](shortcut)) + shortcut
        return functional.avg_pool3d(x, (1, 2, 2))


class _Cell(nn.Module):
    """What happens within 3, 5, 9 and 17 frames, side by side."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        for dilation in _DILATIONS:
            self.add_module(f"Conv3D_{dilation}", _Conv(inputs, filters, dilation))
        self.bn = nn.BatchNorm3d(len(_DILATIONS) * filters, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        convolved = [self.get_submodule(f"Conv3D_{dilation}")(x) for dilation in _DILATIONS]
        normed: Tensor = self.bn(torch.cat(convolved, dim=1))
        return normed


class _Conv(nn.Module):
    """A convolution within each frame, then one over time (arXiv:1711.11248)."""

    def __init__(self, inputs: int, filters: int, dilation: int) -> None:
        super().__init__()
        within = nn.Conv3d(inputs, 2 * filters, (1, 3, 3), padding=(0, 1, 1), bias=False)
        over_time = nn.Conv3d(
            2 * filters, filters, (3, 1, 1), dilation=(dilation, 1, 1), padding=(dilation, 0, 0), bias=False
        )
        self.layers = nn.Sequential(within, over_time)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.layers(x)
        return convolved


class _FrameSimilarity(nn.Module):
    """How like each frame is to those around it, by what the stacks saw."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.projection = nn.Linear(inputs, 128)
        self.fc = nn.Linear(_AROUND, 128)

    def forward(self, blocks: list[Tensor]) -> Tensor:
        x = torch.cat([block.mean(dim=(3, 4)) for block in blocks], dim=1).transpose(1, 2)
        return functional.relu(self.fc(_likeness_around(self.projection(x))))


class _ColorHistograms(nn.Module):
    """How like each frame is to those around it, by its colours: 8 levels of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(_AROUND, 128)

    def forward(self, frames: Tensor) -> Tensor:
        red, green, blue = (frames.int() >> 5).flatten(2, 3).unbind(-1)
        colours = ((red << 6) + (green << 3) + blue).long()
        histograms = torch.zeros(*colours.shape[:2], 512, device=frames.device)
        histograms.scatter_add_(2, colours, torch.ones_like(colours, dtype=histograms.dtype))
        return functional.relu(self.fc(_likeness_around(histograms)))


def _likeness_around(x: Tensor) -> Tensor:
    """Cosines between each frame's vector and those of the frames around it: `[batch, frames, _AROUND]`."""
    x = functional.normalize(x, dim=2)
    likeness = functional.pad(x @ x.transpose(1, 2), (_AROUND // 2, _AROUND // 2))
    frames = torch.arange(x.shape[1], device=x.device)
    around = frames[:, None] + torch.arange(_AROUND, device=x.device)
    return likeness[:, frames[:, None], around]
