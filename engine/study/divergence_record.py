"""Holds where two runs part and how their difference grows: what `diverge` has found out, kept in the study."""

from __future__ import annotations

import math
import os
from typing import Literal

import msgspec

from engine.study.estimate import Interval
from engine.study.paths import StudyPaths
from engine.study.records import MEGABYTE, Damage, Record, read_record

ROUNDING = 2.0**-23
"""The relative distance of neighbouring numbers of float32: as far apart are networks that were rounded otherwise."""

Quantity = Literal["weights", "logits"]
"""What a rate is of."""

Kind = Literal[
    "weights",  # they differ before a step is taken: initial weights, or a bit that was moved
    "data",  # the minibatch of the step is another one
    "input",  # an operation reads what differs and no recorded operation made
    "operations",  # the runs do other operations
    "argument",  # a number that the program computed differs
    "random",  # generators in different states
    "kernel",  # all inputs agree to the bit, an output does not
    "memory",  # memory is read that no operation of torch has written into
    "untraced",  # the weights part in the step, and no operation could be seen to
]
"""What differs first."""


class DivergenceRequest(Record, frozen=True, kw_only=True, tag=1):
    """Asks the process that trains where two runs part."""

    studies: tuple[str, str]
    """The folders."""
    arms: tuple[str, str]
    replicas: tuple[int, int]
    runs: tuple[str, str]
    growth_epochs: int | None = None
    """For how many epochs behind the parting the difference is followed; None for all."""


class DivergenceProgress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Says how far that process has come."""

    epoch: int
    epochs: int


class Tensors(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Describes how a tensor of one run differs from that of the other."""

    elements: int
    differing: int
    """Elements whose bits differ."""
    ulps: float | None
    """The largest difference in units of the last place; None of integers, and where one of both is NaN."""
    absolute: float | None
    """The largest difference of two finite values."""
    where: tuple[int, ...]
    """The first place that differs."""
    first: str
    """The value there in the first run, with all its digits."""
    second: str


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Describes the operation in which two runs part."""

    number: int
    """Its place in the step, from 0."""
    name: str
    """As "aten::convolution_backward"."""
    module: str
    """Of the network; empty where there is none."""
    phase: str
    """forward, backward, optimiser or other."""
    place: str = ""
    """What of it differs: "input weight" or "output 0"; empty where that is not known."""
    parameter: str = ""
    """The parameter whose memory that is; empty where it is none."""
    arguments: tuple[str, str] = ("", "")
    """All that are no tensors, of both runs, where these differ."""


class Batches(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Describes how the minibatches of a step differ."""

    size: tuple[int, int]
    """Examples of each."""
    shared: int
    """Examples that are in both."""
    moved: int
    """Of those, how many stand in another place."""
    altered: int
    """Of those, how many have other values, as where they are cropped otherwise."""
    examples: tuple[tuple[int, ...], tuple[int, ...]]
    """The numbers of the first examples of each."""
    is_reversed: bool = False
    """Whether one is the other from its end."""


class GrowthPoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tells how far two runs are apart after some steps; what is not finite or was not measured is None."""

    step: int
    """Steps behind the one in which they parted; 0 is right after it."""
    epoch: int | None = None
    """The epoch that has just ended; None in the middle of one."""
    weights: float | None
    """The Euclidean distance of all parameters."""
    relative: float | None
    """The same as a share of the length of the first run's parameters."""
    logits: float | None = None
    """Root mean square of the difference over test examples and classes."""
    logits_relative: float | None = None
    disagreement: float | None = None
    """Percent of test examples."""


class Rate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tells how fast a difference grows where it grows exponentially."""

    quantity: Quantity
    per_step: float
    """The logarithm of the factor by which it grows in a step."""
    interval: Interval
    """95 %."""
    steps: tuple[int, int]
    """The first and the last step that it is fitted on."""
    points: int
    fit: float
    """The share of the variance of the logarithm that the line explains, R²."""

    @property
    def doubling_steps(self) -> float | None:
        """The steps in which it doubles; None where it does not grow."""
        return math.log(2) / self.per_step if self.per_step > 0 else None


class Divergence(Record, frozen=True, kw_only=True, tag=1):
    """partings/<run>-<run>.json: where two runs part, and how the difference grows."""

    max_bytes = 4 * MEGABYTE

    studies: tuple[str, str]
    arms: tuple[str, str]
    replicas: tuple[int, int]
    """From 1."""
    runs: tuple[str, str]
    epochs: int
    """Epochs that both were compared over."""
    followed: int | None = None
    """For how many epochs behind the parting the difference was followed; None for all."""
    epoch: int | None
    """The epoch in which their weights part; 0 where the initial ones differ, None where they never do."""
    step: int | None = None
    """The step of it, from 0; None where they part before its first step."""
    steps: int = 0
    """Steps of an epoch."""
    recorded: int | None = None
    """The epoch in which their files say that they part; as `epoch`."""
    is_recorded: bool = True
    """Whether the files say anything of that."""
    strayed: tuple[int | None, int | None] = (None, None)
    """For each run the first epoch at whose end its weights are not those of the file, when it is trained again."""
    kind: Kind | None = None
    """What differs first; None where they never part."""
    operation: Operation | None = None
    tensors: Tensors | None = None
    """How what differs first does."""
    weights: tuple[str, ...] = ()
    """The parameters that differ, where these differ before a step."""
    batches: Batches | None = None
    operations: int = 0
    """Operations of the step that were traced."""
    growth: tuple[GrowthPoint, ...] = ()
    rates: tuple[Rate, ...] = ()
    test_examples: int = 0
    """Test examples that logits and predictions are compared on."""
    is_text: bool = False
    seconds: float = 0.0
    """What finding it out took."""
    device: str = ""
    torch: str = ""


def list_divergences(paths: StudyPaths, most: int) -> list[Divergence]:
    """Read what was found out about runs of a study, in the order of the files' names; many are cut off."""
    try:
        names = sorted(name for name in os.listdir(paths.partings) if name.endswith(".json"))
    except OSError:
        return []
    found = [read_record(paths.partings / name, Divergence) for name in names[:most]]
    return [one for one in found if isinstance(one, Divergence)]


def find_divergence(paths: StudyPaths, runs: tuple[str, str]) -> Divergence | None:
    """Read what was found out about two runs of a study; None where nobody asked, or it cannot be read."""
    found = read_record(paths.divergence(*runs), Divergence)
    return None if isinstance(found, Damage) else found
