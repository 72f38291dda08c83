"""cka.json: the similarity of every pair of an arm's replicas, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from engine.study.records import MEGABYTE, Record, find_record


class LayerPairs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One layer."""

    name: str
    runs: tuple[str, ...]
    """Those whose activations can be compared."""
    cka: tuple[tuple[float, ...], ...]
    """Linear CKA of every pair of them."""
    debiased: tuple[tuple[float, ...], ...] | None = None
    """Its debiased form; empty where that is not defined, None where an earlier version compared the layers."""

    def __post_init__(self) -> None:
        """Refuse what is no square over the runs."""
        for square in (self.cka, self.debiased or self.cka):
            if any(len(row) != len(self.runs) for row in (square, *square)):
                raise ValueError("cka is no square over the runs")


class ArmSimilarity(msgspec.Struct, frozen=True, kw_only=True):
    """One arm."""

    name: str
    runs: tuple[str, ...]
    """Finished runs that were looked at."""
    wanted: int
    """Test examples that the protocol asks for."""
    examples: int
    """Test examples that there are of these."""
    layers: tuple[LayerPairs, ...]
    """In the order of the network."""


class StudySimilarity(Record, frozen=True, tag=1):
    """The content of cka.json."""

    max_bytes: ClassVar[int] = 64 * MEGABYTE

    arms: tuple[ArmSimilarity, ...]


def find_similarity(path: Path) -> tuple[ArmSimilarity, ...]:
    """Read the arms of cka.json; none where it is absent or damaged."""
    found = find_record(path, StudySimilarity)
    return () if found is None else found.arms
