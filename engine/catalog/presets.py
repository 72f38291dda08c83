"""Facts about the presets that are needed without importing torch: names, shapes, sizes, empty sources."""

from __future__ import annotations

import math
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


@dataclass(frozen=True, kw_only=True)
class LanguageFacts:
    """What is known of a text data preset before it is loaded."""

    files: tuple[str, ...]
    """Training, validation and test text below the data's root; empty where the text is embedded."""
    note: str


LANGUAGE: dict[str, LanguageFacts] = {
    "ptb": LanguageFacts(
        files=("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        note="Penn Treebank in Mikolov's layout, one sentence per line, from your files",
    ),
    "wikitext2": LanguageFacts(
        files=("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        note="WikiText-2 in its usual layout, from your files",
    ),
    "pydoc": LanguageFacts(files=(), note="the help topics of the Python running this, real English, embedded"),
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

PARAMETERS: dict[str, str] = {
    "linear": "30,730",
    "hidden-fc": "1,578,506",
    "hidden-conv": "168,714",
    "resnet6": "9,978",
    "resnet10": "42,682",
    "resnet14": "172,602",
    "resnet18": "11,001,034",
    "shufflenetv2-50": "352,042",
    "vgg11": "9,231,114",
    "mnist-cnn": "1,199,882",
    "qrnn": "4,539,920",
}
"""Parameters at the published sizes, for people who choose: on CIFAR-10, MNIST for mnist-cnn, 10,000 words for qrnn."""

LANGUAGE_MODELS: dict[str, str] = {
    "qrnn": "quasi-recurrent network with tied weights and the regularisers of AWD-LSTM, for text",
}

QRNN_ARGS: dict[str, int | float] = {
    "embedding": 256,
    "hidden": 512,
    "layers": 3,
    "dropout_words": 0.1,
    "dropout_input": 0.4,
    "dropout_hidden": 0.2,
    "dropout_output": 0.4,
    "weight_drop": 0.1,
}
"""What `model.args` of the QRNN may set. Sizes are the paper's; it states no dropout rates: these are the rates of
AWD-LSTM's recipe for QRNNs on Penn Treebank."""

TORCHVISION_PREFIX = "torchvision:"
"""Before the name of any of torchvision's classification models, which take images of three channels."""

TORCHVISION_PATTERN = re.compile(rf"{TORCHVISION_PREFIX}[a-z0-9_]{{1,60}}")


def may_be_stochastic(preset: str | None) -> bool:
    """Whether a model may hold dropout or other random layers: none of the project's own image presets does.

    Args:
        preset: None for a user's model, of which nothing is known.
    """
    return preset is None or preset in LANGUAGE_MODELS or preset.startswith(TORCHVISION_PREFIX)


def crop_padding(size: int) -> int:
    """Pixels of zero padding around an image: 4 for CIFAR's 32, in proportion for others, at least 1."""
    return max(1, size // 8)


def crop_steps(crops: int, padding: int) -> int | None:
    """Pixels between neighbouring crops of a regular grid of `crops` over the padding; None where there is no such."""
    side = math.isqrt(crops)
    if side * side != crops or (side > 1 and (2 * padding) % (side - 1)):
        return None
    return 2 * padding // (side - 1) if side > 1 else 0


WIDTH_MODELS = ("resnet6", "resnet10", "resnet14", "resnet18")
"""The presets on which `model.width` acts."""
