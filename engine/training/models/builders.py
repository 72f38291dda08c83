"""The builders of the model presets, at the published definitions; input shape and classes come from the data.

Source: models.py, resnet_cifar.py and model_utils.py of github.com/ceciliaresearch/nondeterminism_instability.
Parameter names follow the published ones, because the optimiser forms its groups by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import ModelError
from engine.training.models.shufflenet import ShuffleNet

Shape = tuple[int, ...]

RESNET_CHANNELS = (16, 32, 64)
RESNET18_CHANNELS = (64, 128, 256, 512)
VGG11_CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
BLOCKS_PER_STAGE = 2


@dataclass(frozen=True)
class ModelShape:
    """Tells a builder what it needs to know."""

    input_shape: Shape
    """Channels, height, width of an example."""
    classes: int
    width: float


class Linear(nn.Module):
    """Logistic regression on the pixels."""

    def __init__(self, shape: ModelShape) -> None:
        """Make one weight per pixel and class."""
        super().__init__()
        self.fc = nn.Linear(count_values(shape.input_shape), shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, …) to (B, K)."""
        return self.fc(x.flatten(1))


class HiddenFullyConnected(nn.Module):
    """512 hidden units."""

    def __init__(self, shape: ModelShape) -> None:
        """Make two linear layers."""
        super().__init__()
        self.fc1 = nn.Linear(count_values(shape.input_shape), 512)
        self.fc2 = nn.Linear(512, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, …) to (B, K)."""
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


class HiddenConvolution(nn.Module):
    """One 5x5 convolution with stride 2 and 64 channels."""

    def __init__(self, shape: ModelShape) -> None:
        """Make a convolution with bias, and a linear layer over all its positions."""
        super().__init__()
        channels, height, width = shape.input_shape
        self.conv1 = nn.Conv2d(channels, 64, 5, stride=2, padding=2)
        self.fc = nn.Linear(64 * ((height + 1) // 2) * ((width + 1) // 2), shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        return self.fc(functional.relu(self.conv1(x)).flatten(1))


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut that has no weights but a batch norm where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        """Make the convolutions; the shortcut takes every second pixel and fills the new channels with zeros."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.new_channels = channels - channels_in
        changes = stride != 1 or self.new_channels != 0
        self.downsample = (
            nn.Sequential(nn.AvgPool2d(1, stride=stride), nn.BatchNorm2d(channels_in)) if changes else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H/stride, W/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.downsample is not None:
            x = functional.pad(self.downsample(x), (0, 0, 0, 0, 0, self.new_channels))
        return functional.relu(x + y)


class ResNet(nn.Module):
    """A stem of one 3x3 convolution, stages of two blocks, global mean, linear head."""

    def __init__(self, shape: ModelShape, stages: Sequence[int]) -> None:
        """Make a stage for each number of channels; every stage but the first halves height and width."""
        super().__init__()
        channels = [max(1, round(count * shape.width)) for count in stages]
        self.conv1 = nn.Conv2d(shape.input_shape[0], channels[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.layers = nn.Sequential()
        before = channels[0]
        for stage, count in enumerate(channels):
            blocks = [
                Block(before if b == 0 else count, count, 2 if stage and b == 0 else 1) for b in range(BLOCKS_PER_STAGE)
            ]
            self.layers.append(nn.Sequential(*blocks))
            before = count
        self.fc = nn.Linear(channels[-1], shape.classes)
        initialise_resnet(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layers(x)
        # The mean is used because the backward pass of adaptive pooling is not deterministic on CUDA.
        return self.fc(x.mean((2, 3)))


def initialise_resnet(model: nn.Module) -> None:
    """Draw Kaiming-normal convolutions (fan out), and let each block start as the identity: its last scale is 0.

    Modules are visited in the order of their names, as in the published code.
    """
    for name, module in sorted(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.0 if name.endswith(".bn2") else 1.0)
            nn.init.constant_(module.bias, 0.0)


class Vgg11(nn.Module):
    """Eight 3x3 convolutions with bias and batch norm, five poolings, one linear layer."""

    def __init__(self, shape: ModelShape) -> None:
        """Number the layers in `features` as published, batch norms and poolings included.

        Raises:
            ModelError: If the images are too small to be halved five times.
        """
        super().__init__()
        channels, height, width = shape.input_shape
        if min(height, width) < 32:
            raise ModelError(f"vgg11: halves its images five times, and {height}x{width} pixels are fewer than 32x32")
        self.features = nn.Sequential()
        for count in VGG11_CHANNELS:
            if isinstance(count, str):
                self.features.append(nn.MaxPool2d(2))
            else:
                self.features.extend([nn.Conv2d(channels, count, 3, padding=1), nn.BatchNorm2d(count), nn.ReLU()])
                channels = count
        self.classifier = nn.Linear(channels, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        return self.classifier(self.features(x).mean((2, 3)))


class MnistConvolutions(nn.Module):
    """Two 3x3 convolutions without padding, one pooling, two linear layers; no dropout."""

    def __init__(self, shape: ModelShape) -> None:
        """Make 128 hidden units.

        Raises:
            ModelError: If nothing is left of the images behind the convolutions and the pooling.
        """
        super().__init__()
        channels, height, width = shape.input_shape
        if min(height, width) < 6:
            raise ModelError(f"mnist-cnn: {height}x{width} pixels are fewer than the 6x6 that it needs")
        self.conv1 = nn.Conv2d(channels, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), 128)
        self.fc2 = nn.Linear(128, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        return self.fc2(functional.relu(self.fc1(functional.max_pool2d(x, 2).flatten(1))))


BUILDERS: dict[str, Callable[[ModelShape], nn.Module]] = {
    "linear": Linear,
    "hidden-fc": HiddenFullyConnected,
    "hidden-conv": HiddenConvolution,
    "resnet6": lambda shape: ResNet(shape, RESNET_CHANNELS[:1]),
    "resnet10": lambda shape: ResNet(shape, RESNET_CHANNELS[:2]),
    "resnet14": lambda shape: ResNet(shape, RESNET_CHANNELS),
    "resnet18": lambda shape: ResNet(shape, RESNET18_CHANNELS),
    "shufflenetv2-50": lambda shape: ShuffleNet(shape.input_shape[0], shape.classes),
    "vgg11": Vgg11,
    "mnist-cnn": MnistConvolutions,
}


def count_values(shape: Shape) -> int:
    """Return how many numbers one example has."""
    return int(torch.Size(shape).numel())


def count_parameters(model: nn.Module) -> int:
    """Return how many trainable numbers a model has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
