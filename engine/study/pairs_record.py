"""Holds how far every two replicas of an arm are apart: the answer of a process that is asked for one arm."""

from __future__ import annotations

from typing import ClassVar

from engine.study.records import MEGABYTE, Record


class ArmPairs(Record, frozen=True, kw_only=True, tag=1):
    """One arm's pairs."""

    max_bytes: ClassVar[int] = 64 * MEGABYTE

    replicas: tuple[int, ...]
    """Numbers of the replicas in the plan, from 1."""
    runs: tuple[str, ...]
    """The run of each; of an ensemble its first one."""
    order: tuple[int, ...]
    """Their places such that those which are alike stand beside each other."""
    disagreement: tuple[tuple[float, ...], ...]
    """Percent, of every pair, in the plan's order."""
    left_out: int
    """Replicas beyond those that are compared."""

    def __post_init__(self) -> None:
        """Refuse what is no square over the replicas."""
        size = len(self.replicas)
        lengths = {len(self.runs), len(self.disagreement), *map(len, self.disagreement)} if size else set[int]()
        if lengths - {size} or sorted(self.order) != list(range(size)):
            raise ValueError("pairs are no square over the replicas")
