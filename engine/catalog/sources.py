"""The sources of nondeterminism: everything about them that several parts of the program need, once.

How a source acts is in `plan.py` (its seed in a recipe) and in `engine/training` (what is drawn from that seed).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Source:
    """One origin of differences between trainings."""

    title: str
    """What an arm is called in which it alone varies: the paper's row name, but for `lowlevel`, the paper's cuDNN."""
    short: str
    """Heads a narrow column."""
    meaning: str
    """What differs between two replicas, in a few words."""
    has_base_seed: bool = True
    """Whether it has a constant while it does not vary, settable in [seeds]."""
    own_batches: bool = False
    """Whether it gives each replica other minibatches, so that stacked replicas cannot share theirs."""


SOURCES: dict[str, Source] = {
    "init": Source(title="Parameter Initialization", short="init", meaning="the initial weights"),
    "shuffle": Source(
        title="Data shuffling", short="shuf", meaning="the order of the training examples", own_batches=True
    ),
    "augment": Source(
        title="Data Augmentation", short="augm", meaning="random crops and flips of each example", own_batches=True
    ),
    "stochastic": Source(title="Stochastic Operations", short="stoch", meaning="dropout and its kin", own_batches=True),
    "lowlevel": Source(
        title="Low-level operations", short="low", meaning="the order of floating-point operations", own_batches=True
    ),
    "bit": Source(
        title="Random Bit Change",
        short="bit",
        meaning="one weight moved by one unit in the last place before training",
        has_base_seed=False,
    ),
}
"""In the order of the paper's tables; a combination lists its sources in this order."""
