"""The sections of a protocol file, and each key of them declared once.

A section is a frozen record, and a key is a field of it. Reading a file, `--set`, the app's forms and the reference in
docs/protocol.md all follow from these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from engine.catalog.sources import SOURCES
from engine.protocol import checks
from engine.protocol.checks import choice, flag, number, text, whole
from engine.protocol.command_section import Command
from engine.protocol.compare_section import Compare
from engine.protocol.data_section import Data
from engine.protocol.dispatch_section import Dispatch, Slurm
from engine.protocol.keys import Key, declared, key
from engine.recipe import EVALUATION_STREAMS, MAX_BOOTSTRAP, MAX_EPOCHS, MOST_SKETCHES, EvaluateRecipe, TrainRecipe

AVERAGINGS = ("swa", "aswa")


@dataclass(frozen=True, kw_only=True)
class SectionHeading:
    """[protocol]: the name of the study and how often each arm is trained."""

    name: str | None = key(
        checks.folder_name,
        None,
        'it names the study\'s folder: choose one such as "table1-small"',
        "Names the study and its folder in the store.",
    )
    description: str = key(text(2000), "", "one or two sentences", "Says what the protocol is for.")
    replicas: int = key(
        whole(1, checks.MAX_REPLICAS),
        10,
        "trainings per arm; 100 in the paper",
        "Sets how many replicas of each arm are trained.",
    )
    reference: str | None = key(
        checks.reference,
        None,
        "a table of the paper, whose rows are shown beside arms of their names",
        "Names a published table whose rows are shown beside the arms of the same names.",
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """[model]: the network."""

    preset: str | None = key(
        checks.model_preset,
        None,
        f"available: {', '.join(checks.MODEL_NAMES)}",
        "Chooses one of the networks that the program knows, or any classifier of torchvision.",
    )
    target: str | None = key(
        checks.target,
        None,
        'your function, e.g. "mypkg.nets:build", instead of preset',
        "Names your own function that builds the network, instead of a preset.",
    )
    width: float = key(
        number(0, 16, above=True),
        1.0,
        "1.0 is the published width",
        "Multiplies the channels of the residual networks.",
    )
    args: dict[str, Any] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        checks.arguments,
        {},
        "keyword arguments for your target, e.g. { depth = 3 }",
        "Gives keyword arguments to your own network, or settings to a text model.",
    )
    allow_unisolated: bool = key(
        flag, False, "every table then says so", "Allows a network in which sources are found to leak into each other."
    )


@dataclass(frozen=True, kw_only=True)
class Trust:
    """[trust]: whose code targets may be, beside that of modules in the protocol file's folder."""

    modules: list[str] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        checks.modules,
        [],
        'installed modules whose functions are targets, e.g. modules = ["mypkg"]',
        "Lists modules from elsewhere that targets may be taken from; what is inside of one is meant with it.",
    )


@dataclass(frozen=True, kw_only=True)
class Train:
    """[train]: how the network is trained; the defaults are the paper's."""

    epochs: int = key(
        whole(1, MAX_EPOCHS), 500, "500 in the paper", "Sets how often the training examples are passed through."
    )
    batch_size: int = key(
        whole(1, 1_000_000), 512, "512 in the paper", "Sets how many examples one step of the optimiser sees."
    )
    optimizer: str = key(
        choice(("sgd", "adam", "nt-asgd")),
        TrainRecipe.optimizer,
        "sgd in the paper; nt-asgd for its text",
        "Chooses the optimiser; nt-asgd is stochastic gradient descent that averages weights from a point on that the "
        "validation loss triggers.",
    )
    lr: float = key(
        number(0, 1000, above=True),
        TrainRecipe.lr,
        "the highest learning rate; 0.40 in the paper",
        "Sets the highest learning rate of the schedule.",
    )
    momentum: float = key(
        number(0, 1, below=True), TrainRecipe.momentum, "0.9 in the paper", "Sets the momentum of sgd."
    )
    weight_decay: float = key(
        number(0, 100), TrainRecipe.weight_decay, "5e-4 in the paper", "Sets the decay of all weights."
    )
    bias_bn_lr_scale: float = key(
        number(0, 100),
        TrainRecipe.bias_bn_lr_scale,
        "0.1 in the published code, 1.0 is off",
        "Multiplies the learning rate of biases and of batch norms.",
    )
    schedule: str = key(
        choice(("cosine", "snapshot", "constant")),
        TrainRecipe.schedule,
        "cosine in the paper",
        "Chooses how the learning rate changes; snapshot repeats the cosine in cycles and averages the predictions of "
        "their ends.",
    )
    warmup_epochs: float = key(
        number(0, 100_000),
        TrainRecipe.warmup_epochs,
        "3 in the paper; fewer for short trainings",
        "Sets for how many epochs the learning rate rises from 0.",
    )
    cycles: int = key(
        whole(1, 1000),
        5,
        "of the snapshot schedule; 5 in the paper",
        "Sets the number of cycles of the snapshot schedule.",
    )
    clip_grad_norm: float = key(
        number(0, 1e9), TrainRecipe.clip_grad_norm, "0 is off", "Shortens each step's gradient to at most this norm."
    )
    weight_noise: float = key(
        number(0, 10),
        0.0,
        "SD as a share of each tensor's RMS; 0 is off",
        "Adds Gaussian noise to the weights while a step's gradient is taken.",
    )
    averaging: str = key(
        choice(("none", *AVERAGINGS)),
        "none",
        "swa after each epoch, aswa after each step",
        "Averages the weights of the last quarter of the training.",
    )
    bptt: int = key(
        whole(1, 100_000),
        70,
        "tokens that a text model's gradient reaches back over",
        "Sets the length of the segments that a text model is trained on, in tokens; single segments vary around it.",
    )
    activation_reg: float = key(
        number(0, 1e6),
        2.0,
        "of text models; 0 is off",
        "Weighs the size of a text model's last activations in its loss.",
    )
    slowness_reg: float = key(
        number(0, 1e6), 1.0, "of text models; 0 is off", "Weighs their change from token to token in the loss."
    )
    select: str = key(
        choice(("last", "best-validation")),
        "last",
        "best-validation for text models, as in awd-lstm-lm",
        "Chooses the epoch whose weights a text model ends with: the last, or the one with the least validation loss.",
    )
    precision: str = key(
        choice(("fp32", "tf32", "bf16")),
        TrainRecipe.precision,
        "fp32 lets one ulp survive",
        "Chooses the arithmetic; fp32 is IEEE with TF32 off.",
    )


@dataclass(frozen=True, kw_only=True)
class LowLevel:
    """[lowlevel]: how the source lowlevel acts."""

    mode: str = key(
        choice(("auto", "kernels", "order")),
        "auto",
        "auto is kernels on CUDA and order on CPU",
        "Chooses between free CUDA kernels and a seeded order of the examples inside each minibatch.",
    )


@dataclass(frozen=True, kw_only=True)
class Bit:
    """[bit]: how the source bit acts."""

    parameter: str = key(
        text(200),
        "first",
        '"first" or the full name of a parameter',
        "Names the parameter that holds the moved weight.",
    )
    ulps: int = key(
        whole(1, 1_000_000),
        1,
        "1 is the smallest change that a weight can take",
        "Sets by how many units in the last place the weight is moved.",
    )
    share: float = key(
        number(0, 1),
        0.0,
        "e.g. 1e-3 moves it by a thousandth of its value; 0 is off, and ulps count",
        "Moves the weight by this share of its value, instead of by units in the last place.",
    )


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """[evaluate]: the views of each test image whose logits are averaged, and how a test text is read."""

    flip: bool = key(
        flag, EvaluateRecipe.flip, "true adds the mirror image of every view", "Adds the mirror image of every view."
    )
    crops: int = key(
        checks.square,
        EvaluateRecipe.crops,
        "crops over the padding, averaged; 1 is the image alone, 25 or 81 for CIFAR",
        "Sets the number of crops, on a regular grid over the padding.",
    )
    streams: int = key(
        whole(1, 10_000),
        EVALUATION_STREAMS,
        "of a text model; 1 reads the test text from end to end, as awd-lstm-lm does",
        "Sets how many equal parts of the test text are read side by side for a text model's final prediction.",
    )


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """[metrics]: what is measured beside the diversity of predictions."""

    cka: bool = key(
        flag,
        False,
        "true compares the replicas' inner layers too, from their kept weights",
        "Compares the inner layers of an arm's replicas once its runs are done.",
    )
    cka_examples: int = key(
        whole(4, 10_000),
        2048,
        "test examples that layers are compared on",
        "Sets how many test examples the layers are compared on.",
    )
    sketches: int = key(
        whole(0, MOST_SKETCHES),
        0,
        "how often in an epoch; 1 is at its end, 0 is off",
        "Notes where a run's weights are so often in an epoch, so that the growth of a moved bit can be measured.",
    )
    bootstrap: int = key(
        whole(0, MAX_BOOTSTRAP),
        10_000,
        "resamples behind the error of an SD; 10,000 in the paper",
        "Sets the number of bootstrap resamples behind the error of an SD.",
    )


@dataclass(frozen=True, kw_only=True)
class Sections:
    """All sections of a protocol file, by the names that they have in it."""

    protocol: SectionHeading
    command: Command
    data: Data
    model: Model
    trust: Trust
    train: Train
    seeds: dict[str, int]
    """Base seed of every source that has one."""
    lowlevel: LowLevel
    bit: Bit
    evaluate: Evaluate
    metrics: Metrics
    compare: Compare
    dispatch: Dispatch
    slurm: Slurm


RECORDS: dict[str, type[Any]] = {
    "protocol": SectionHeading,
    "command": Command,
    "data": Data,
    "model": Model,
    "trust": Trust,
    "train": Train,
    "lowlevel": LowLevel,
    "bit": Bit,
    "evaluate": Evaluate,
    "metrics": Metrics,
    "compare": Compare,
    "dispatch": Dispatch,
    "slurm": Slurm,
}

SEEDS: dict[str, Key] = {
    name: Key(
        whole(0, checks.MAX_SEED),
        1,
        "the constant of a source while it does not vary; 1 in the paper",
        f"Seeds {source.meaning} while {name} does not vary.",
    )
    for name, source in SOURCES.items()
    if source.has_base_seed
}

SECTIONS: dict[str, dict[str, Key]] = {
    one.name: SEEDS if one.name == "seeds" else declared(RECORDS[one.name]) for one in fields(Sections)
}
"""Section → key → what is known of it, in the order of a protocol file."""


def make_section(name: str, values: dict[str, Any]) -> Any:
    """Make the record of a section from checked values; the base seeds stay a mapping."""
    return values if name == "seeds" else RECORDS[name](**values)


def find_key(name: str) -> Key:
    """Return what is known of a key by its dotted name, e.g. train.epochs.

    Raises:
        KeyError: If there is no such section or key.
    """
    section, _, word = name.partition(".")
    return SECTIONS[section][word]
