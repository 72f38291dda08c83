"""The records of what is known of this machine's GPUs; `engine.dispatch.nvml` finds it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ComputeMode = Literal["default", "exclusive", "prohibited"]
"""How many processes may use a GPU at once: any number, one, or none."""


@dataclass(frozen=True)
class Card:
    """Describes one GPU, or one part of a GPU that MIG divides."""

    uuid: str
    """Empty where the driver cannot open it."""
    name: str
    index: int | None = None
    """The driver's, in the order of PCI buses; None for a part."""
    parts: tuple[Card, ...] = ()
    """What MIG has made of it."""
    fault: str | None = None
    """Why the driver cannot open it."""
    users: tuple[str, ...] = ()
    """Other users who have a process on it, as far as that can be seen."""
    mode: ComputeMode = "default"


@dataclass(frozen=True)
class Inventory:
    """Lists what the library says of this machine."""

    cards: tuple[Card, ...] = ()
    failure: str | None = None
    """Why it says nothing: its own words."""
    cuda: tuple[int, int] | None = None
    """The newest version of CUDA that the driver supports; None where it does not say."""


@dataclass(frozen=True)
class Load:
    """Says how busy one GPU is."""

    index: int
    """The driver's."""
    busy_percent: int
    memory_used: int
    """Bytes."""
    memory_total: int
    watts: float | None
    """None for cards that do not tell."""
