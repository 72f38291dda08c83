"""Facts about the presets that are needed without importing torch: names, shapes, sizes, empty sources."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What is known of a data preset before it is loaded."""

    shape: tuple[int, int, int]
    """Channels, height, width of one example."""
    classes: int
    train_size: int
    test_size: int
    augment: str
    """What "auto" augmentation means for this preset."""
    note: str


DATA: dict[str, DataFacts] = {
    "digits": DataFacts(
        shape=(1, 8, 8),
        classes=10,
        train_size=1000,
        test_size=797,
        augment="none",
        note="scikit-learn's handwritten digits, embedded; the first 1,000 train",
    ),
    "mnist": DataFacts(
        shape=(1, 28, 28),
        classes=10,
        train_size=60_000,
        test_size=10_000,
        augment="none",
        note="torchvision's MNIST",
    ),
    "cifar10": DataFacts(
        shape=(3, 32, 32),
        classes=10,
        train_size=50_000,
        test_size=10_000,
        augment="crop-flip",
        note="torchvision's CIFAR-10",
    ),
    "cifar100": DataFacts(
        shape=(3, 32, 32),
        classes=100,
        train_size=50_000,
        test_size=10_000,
        augment="crop-flip",
        note="torchvision's CIFAR-100",
    ),
    "synthetic": DataFacts(
        shape=(3, 32, 32),
        classes=10,
        train_size=50_000,
        test_size=10_000,
        augment="crop-flip",
        note="CIFAR-shaped class prototypes with noise, for tests and benchmarks",
    ),
}

AUGMENTATIONS = ("none", "crop", "flip", "crop-flip")

MODELS: dict[str, str] = {
    "linear": "logistic regression on the pixels",
    "hidden-fc": "512 hidden units, ReLU",
    "hidden-conv": "one 5x5 convolution, stride 2, 64 channels, ReLU",
    "resnet6": "residual network, 1 stage of 16 channels",
    "resnet10": "residual network, 2 stages of 16 and 32 channels",
    "resnet14": "residual network, 3 stages of 16, 32 and 64 channels",
    "resnet18": "residual network, 4 stages of 64, 128, 256 and 512 channels",
    "shufflenetv2-50": "ShuffleNetV2 at half width",
    "vgg11": "VGG-11 with batch norm",
    "mnist-cnn": "two convolutions and two linear layers",
}

TORCHVISION_PREFIX = "torchvision:"
"""Before the name of any of torchvision's classification models, which take images of three channels."""

TORCHVISION_PATTERN = re.compile(rf"{TORCHVISION_PREFIX}[a-z0-9_]{{1,60}}")


def may_be_stochastic(preset: str | None) -> bool:
    """Whether a model may hold dropout or other random layers: none of the project's own presets does.

    Args:
        preset: None for a user's model, of which nothing is known.
    """
    return preset is None or preset.startswith(TORCHVISION_PREFIX)


WIDTH_MODELS = ("resnet6", "resnet10", "resnet14", "resnet18")
"""The presets on which `model.width` acts."""
