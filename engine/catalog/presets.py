"""States the facts about the presets that are needed without importing torch: names, shapes, sizes, what they hold."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Download:
    """The source of a data preset's files: a loader of torchvision, which knows their addresses and checksums."""

    loader: str
    """Class in `torchvision.datasets`."""
    folder: str
    """The folder below the data root that the loader puts the files into."""
    layout: str
    """What to put where by hand on a machine without a network, as the rest of "to repair this, …"."""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The facts about an image data preset that are known before it is loaded."""

    shape: tuple[int, int, int]
    """Channels, height, width of one example."""
    classes: int
    train_size: int
    test_size: int
    mean: tuple[float, ...]
    """Per channel, of pixels scaled to 0…1."""
    std: tuple[float, ...]
    augment: str
    """What "auto" augmentation means for this preset."""
    note: str
    any_test_size: bool = False
    """Whether test examples are drawn, as many as a protocol asks for; `test_size` is what it gets without."""
    download: Download | None = None
    """None where the data are embedded or made: they have a function of their own in `training.data.datasets`."""


CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""The published code's constants: the widely copied ones, not the true deviations of CIFAR-10."""

DATA: dict[str, DataFacts] = {
    "digits": DataFacts(
        shape=(1, 8, 8),
        classes=10,
        train_size=1000,
        test_size=797,
        # Of all 1,797 images, pixels 0…16 scaled to 0…1.
        mean=(0.3053,),
        std=(0.3761,),
        augment="none",
        note="scikit-learn's handwritten digits, embedded; the first 1,000 train",
    ),
    "mnist1d": DataFacts(
        shape=(1, 1, 40),
        classes=10,
        train_size=4000,
        test_size=10_000,
        # The published generator centres and scales all numbers together.
        mean=(0.0,),
        std=(1.0,),
        augment="none",
        note="MNIST-1D, signals made as published; test_size sets the test examples",
        any_test_size=True,
    ),
    "mnist": DataFacts(
        shape=(1, 28, 28),
        classes=10,
        train_size=60_000,
        test_size=10_000,
        mean=(0.1307,),
        std=(0.3081,),
        augment="none",
        note="torchvision's MNIST",
        download=Download(
            loader="MNIST", folder="MNIST/raw", layout="put the four .gz archives into DATA_ROOT/MNIST/raw"
        ),
    ),
    "cifar10": DataFacts(
        shape=(3, 32, 32),
        classes=10,
        train_size=50_000,
        test_size=10_000,
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        augment="crop-flip",
        note="torchvision's CIFAR-10",
        download=Download(
            loader="CIFAR10", folder="cifar-10-batches-py", layout="unpack cifar-10-python.tar.gz into DATA_ROOT"
        ),
    ),
    "cifar100": DataFacts(
        shape=(3, 32, 32),
        classes=100,
        train_size=50_000,
        test_size=10_000,
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        augment="crop-flip",
        note="torchvision's CIFAR-100",
        download=Download(
            loader="CIFAR100", folder="cifar-100-python", layout="unpack cifar-100-python.tar.gz into DATA_ROOT"
        ),
    ),
    "synthetic": DataFacts(
        shape=(3, 32, 32),
        classes=10,
        train_size=50_000,
        test_size=10_000,
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        augment="crop-flip",
        note="CIFAR-shaped class prototypes with noise, for tests and benchmarks",
    ),
}


@dataclass(frozen=True, kw_only=True)
class LanguageFacts:
    """The facts about a text data preset that are known before it is loaded."""

    note: str


LANGUAGE: dict[str, LanguageFacts] = {
    "ptb": LanguageFacts(
        note="Penn Treebank in Mikolov's layout, one sentence per line, from your files",
    ),
    "wikitext2": LanguageFacts(
        note="WikiText-2 in its usual layout, from your files",
    ),
    "pydoc": LanguageFacts(note="the help topics of the Python running this, real English, embedded"),
}

MAX_TEST_SIZE = 1_000_000
"""Test examples that a protocol may ask for."""

ANY_TEST_SIZE = tuple(name for name, facts in DATA.items() if facts.any_test_size)
"""The presets on which `data.test_size` acts."""

SAMPLES = ("bootstrap", "split")
"""The ways in which the source `sample` draws training examples."""

AUGMENTATIONS = ("none", "crop", "flip", "crop-flip")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The facts about a model preset that are known before it is built."""

    note: str
    parameters: int
    """At the published size, for people who choose: on CIFAR-10, MNIST for mnist-cnn, 10,000 words for qrnn."""
    flat: bool = False
    """Whether it takes examples of any shape and has no convolutions; other image presets need (C, H, W)."""
    has_width: bool = False
    """Whether `model.width` acts on it."""
    stochastic: bool = False
    """Whether it holds dropout or other random layers."""


MODELS: dict[str, ModelFacts] = {
    "linear": ModelFacts(note="logistic regression on the pixels", parameters=30_730, flat=True),
    "hidden-fc": ModelFacts(note="512 hidden units, ReLU", parameters=1_578_506, flat=True),
    "hidden-conv": ModelFacts(note="one 5x5 convolution, stride 2, 64 channels, ReLU", parameters=168_714),
    "resnet6": ModelFacts(note="residual network, 1 stage of 16 channels", parameters=9_978, has_width=True),
    "resnet10": ModelFacts(note="residual network, 2 stages of 16 and 32 channels", parameters=42_682, has_width=True),
    "resnet14": ModelFacts(
        note="residual network, 3 stages of 16, 32 and 64 channels", parameters=172_602, has_width=True
    ),
    "resnet18": ModelFacts(
        note="residual network, 4 stages of 64, 128, 256 and 512 channels", parameters=11_001_034, has_width=True
    ),
    "shufflenetv2-50": ModelFacts(note="ShuffleNetV2 at half width", parameters=352_042),
    "vgg11": ModelFacts(note="VGG-11 with batch norm", parameters=9_231_114),
    "mnist-cnn": ModelFacts(note="two convolutions and two linear layers", parameters=1_199_882),
}
"""Each has its builder in `training.models.builders`."""

LANGUAGE_MODELS: dict[str, ModelFacts] = {
    "qrnn": ModelFacts(
        note="quasi-recurrent network with tied weights and the regularisers of AWD-LSTM, for text",
        parameters=4_539_920,
        stochastic=True,
    ),
}

WIDTH_MODELS = tuple(name for name, facts in MODELS.items() if facts.has_width)
"""The presets on which `model.width` acts."""

QRNN_ARGS: dict[str, int | float] = {
    "embedding": 256,
    "hidden": 512,
    "layers": 3,
    "dropout_words": 0.1,
    "dropout_input": 0.4,
    "dropout_hidden": 0.3,
    "dropout_output": 0.4,
    "weight_drop": 0.1,
}
"""What `model.args` of the QRNN may set. Sizes are the paper's; it states no dropout rates: these are the rates of the
recipe for a QRNN on Penn Treebank in the README of github.com/salesforce/awd-lstm-lm, and its defaults."""

TORCHVISION_PREFIX = "torchvision:"
"""Before the name of any of torchvision's classification models, which take images of three channels."""

TORCHVISION_PATTERN = re.compile(rf"{TORCHVISION_PREFIX}[a-z0-9_]{{1,60}}")


def find_model(preset: str | None) -> ModelFacts | None:
    """Return the facts of one of the project's own model presets; None for torchvision's and for a user's model."""
    return (MODELS | LANGUAGE_MODELS).get(preset or "")


def may_be_stochastic(preset: str | None) -> bool:
    """Tell whether a model may hold dropout or other random layers; of models that are not ours nothing is known.

    Args:
        preset: None for a user's model.
    """
    facts = find_model(preset)
    return facts is None or facts.stochastic


def is_signal(preset: str | None) -> bool:
    """Tell whether a data preset's examples are images of one row, which are neither cropped nor mirrored."""
    facts = DATA.get(preset or "")
    return facts is not None and facts.shape[1] == 1


def crop_padding(size: int) -> int:
    """Return the pixels of zero padding around an image: 4 for CIFAR's 32, in proportion for others, at least 1."""
    return max(1, size // 8)


def crop_steps(crops: int, padding: int) -> int | None:
    """Return the pixels between neighbouring crops of a regular grid over the padding; None where there is no such."""
    side = math.isqrt(crops)
    if side * side != crops or (side > 1 and (2 * padding) % (side - 1)):
        return None
    return 2 * padding // (side - 1) if side > 1 else 0
