"""ShuffleNetV2 at half width, for small images.

Source: shufflenetv2.py of github.com/ceciliaresearch/nondeterminism_instability; Ma et al., "ShuffleNet V2" (2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STEM_CHANNELS = 24
STAGES = ((48, 3), (96, 7), (192, 3))
"""Channels of a stage, and its blocks behind the one that halves the image."""
HEAD_CHANNELS = 1024


def shuffle_channels(x: Tensor) -> Tensor:
    """Interleave the first half of the channels with the second."""
    batch, channels, height, width = x.shape
    return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class Unit(nn.Module):
    """Half of the channels pass untouched, the other half goes through three convolutions."""

    def __init__(self, channels: int) -> None:
        """Make convolutions of 1x1, 3x3 by channel, 1x1."""
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(half, half, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        kept, y = x.chunk(2, dim=1)
        y = functional.relu(self.bn1(self.conv1(y)))
        y = functional.relu(self.bn3(self.conv3(self.bn2(self.conv2(y)))))
        return shuffle_channels(torch.cat([kept, y], dim=1))


class HalvingUnit(nn.Module):
    """Both branches see all channels and halve the image."""

    def __init__(self, channels_in: int, channels: int) -> None:
        """Make half of the new channels in each branch."""
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(channels_in, channels_in, 3, stride=2, padding=1, groups=channels_in, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv2 = nn.Conv2d(channels_in, half, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(channels_in, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = nn.Conv2d(half, half, 3, stride=2, padding=1, groups=half, bias=False)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = nn.Conv2d(half, half, 1, bias=False)
        self.bn5 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H/2, W/2)."""
        left = functional.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = functional.relu(self.bn3(self.conv3(x)))
        right = functional.relu(self.bn5(self.conv5(self.bn4(self.conv4(right)))))
        return shuffle_channels(torch.cat([left, right], dim=1))


class ShuffleNet(nn.Module):
    """A 3x3 stem, three stages, a 1x1 convolution, global mean, linear head."""

    def __init__(self, channels: int, classes: int) -> None:
        """Make the layers with PyTorch's own initialisation, as published."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, STEM_CHANNELS, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.layers = nn.Sequential()
        before = STEM_CHANNELS
        for count, units in STAGES:
            self.layers.append(nn.Sequential(HalvingUnit(before, count), *(Unit(count) for _ in range(units))))
            before = count
        self.conv2 = nn.Conv2d(before, HEAD_CHANNELS, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(HEAD_CHANNELS)
        self.linear = nn.Linear(HEAD_CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        x = self.layers(functional.relu(self.bn1(self.conv1(x))))
        x = functional.relu(self.bn2(self.conv2(x)))
        return self.linear(x.mean((2, 3)))
