"""The sources of nondeterminism: their names, their place in the paper, and whether they can be seeded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One origin of differences between trainings."""

    title: str
    """The paper's row name."""
    explanation: str


SOURCES: dict[str, Source] = {
    "init": Source("Parameter Initialization", "the initial weights"),
    "shuffle": Source("Data shuffling", "the order of the training examples"),
    "augment": Source("Data Augmentation", "random crops and flips of each example"),
    "stochastic": Source("Stochastic Operations", "dropout and its kin"),
    "lowlevel": Source("cuDNN", "the order of floating-point operations"),
    "bit": Source("Random Bit Change", "one weight moved by one unit in the last place before training"),
}
"""In the order of the paper's tables; a combination lists its sources in this order."""
