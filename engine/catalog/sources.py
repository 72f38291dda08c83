"""States everything about the sources of nondeterminism that several parts of the program need, once.

How a source's seed gets into a recipe follows from this declaration (`engine/plan/plan.py`); what is drawn from the
seed is in `engine/training`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.catalog import presets
from engine.recipe import DataRecipe, ModelRecipe, TrainRecipe


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """The settings of an arm and its device: they decide whether a source can change anything."""

    data: DataRecipe
    model: ModelRecipe
    train: TrainRecipe
    device: str
    """cpu or cuda."""


Emptiness = Callable[[Circumstances], str | None]
"""Returns why a source changes nothing under some circumstances, as a clause; None where it changes something."""


def is_never_empty(circumstances: Circumstances) -> str | None:
    """Return no reason: the source acts on every data set and model."""
    return None


def _find_fixed_order(now: Circumstances) -> str | None:
    return "text is read in its own order" if now.data.preset in presets.LANGUAGE else None


def _find_missing_sample(now: Circumstances) -> str | None:
    if now.data.preset in presets.LANGUAGE:
        return "text is read as a whole"
    whole = now.data.sample is None
    return 'all training examples are used: data.sample is not "bootstrap" or "split"' if whole else None


def _find_missing_augmentation(now: Circumstances) -> str | None:
    return f"{now.data.name} has no augmentation" if now.data.augment == "none" else None


def _find_missing_randomness(now: Circumstances) -> str | None:
    if now.train.weight_noise is not None or presets.may_be_stochastic(now.model.preset):
        return None
    return f"{now.model.preset} has no dropout or other random layer"


def _find_single_order(now: Circumstances) -> str | None:
    single = now.device == "cpu" and now.train.batch_size == 1
    return "batches of one example have a single order" if single else None


@dataclass(frozen=True, kw_only=True)
class Source:
    """One origin of differences between trainings."""

    title: str
    """What an arm is called in which it alone varies: the paper's row name, but for `lowlevel`, the paper's cuDNN."""
    short: str
    """Heads a narrow column."""
    meaning: str
    """What differs between two replicas, in a few words."""
    held: str
    """What holds while it does not vary, in a few words."""
    why_empty: Emptiness = is_never_empty
    """When it changes nothing, and why."""
    seed_when_empty: bool = True
    """Whether a recipe names its seed where it is empty: without, arms that differ in nothing else share their runs."""
    has_base_seed: bool = True
    """Whether it has a constant while it does not vary, settable in [seeds]."""
    own_batches: bool = False
    """Whether it gives each replica other minibatches, so that stacked replicas cannot share theirs."""


SOURCES: dict[str, Source] = {
    "init": Source(
        title="Parameter Initialization",
        short="init",
        meaning="the initial weights",
        held="the same initial weights",
    ),
    "shuffle": Source(
        title="Data shuffling",
        short="shuf",
        meaning="the order of the training examples",
        held="the same order in every epoch",
        why_empty=_find_fixed_order,
        own_batches=True,
    ),
    "augment": Source(
        title="Data Augmentation",
        short="augm",
        meaning="random crops and flips of each example",
        held="the same crop and flip of an example in an epoch, whatever the order",
        why_empty=_find_missing_augmentation,
        seed_when_empty=False,
        own_batches=True,
    ),
    "stochastic": Source(
        title="Stochastic Operations",
        short="stoch",
        meaning="dropout and its kin",
        held="the same mask for an example in an epoch",
        why_empty=_find_missing_randomness,
        seed_when_empty=False,
        own_batches=True,
    ),
    "lowlevel": Source(
        title="Low-level operations",
        short="low",
        meaning="the order of floating-point operations",
        held="deterministic kernels, one fixed order",
        why_empty=_find_single_order,
        own_batches=True,
    ),
    "bit": Source(
        title="Random Bit Change",
        short="bit",
        meaning="one weight moved by one unit in the last place before training",
        held="nothing is moved",
        has_base_seed=False,
    ),
    "sample": Source(
        title="Data sampling",
        short="samp",
        meaning="which training examples are drawn",
        held="the same draw of training examples",
        why_empty=_find_missing_sample,
        seed_when_empty=False,
        own_batches=True,
    ),
}
"""In the order of the paper's tables, then those that it lacks; a combination lists its sources in this order."""
