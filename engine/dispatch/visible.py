"""Finds which of a machine's GPUs this process may use: reads CUDA_VISIBLE_DEVICES as CUDA reads it.

Source: the CUDA C++ Programming Guide, section "CUDA Environment Variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.dispatch.cards import Card, ComputeMode, Inventory

VARIABLE = "CUDA_VISIBLE_DEVICES"

Cards = tuple[Card, ...]
Entries = list[tuple[Card, str | None]]
"""Cards, each with what a worker's variable has to be; None where that is the UUID."""


@dataclass(frozen=True)
class Gpu:
    """Describes one CUDA device that may be used."""

    index: int
    """Its place among the visible ones: N of cuda:N, as torch counts."""
    uuid: str
    """The id of the GPU, or of the part of one that MIG made; where torch does not know it, what stands for it here."""
    name: str
    entry: str | None = None
    """What a worker's CUDA_VISIBLE_DEVICES has to be; None where that is the UUID."""
    users: tuple[str, ...] = ()
    """Other users who have a process on it."""
    mode: ComputeMode = "default"
    variable: str = VARIABLE
    """The variable that shows a worker this GPU alone."""

    @property
    def shown(self) -> str:
        """Return the value of that variable."""
        return self.entry or self.uuid


@dataclass(frozen=True)
class DeviceList:
    """Lists the GPUs that may be used, and says what there is to be said of those that may not."""

    gpus: tuple[Gpu, ...] = ()
    notes: tuple[str, ...] = ()
    """Whole statements, without a full stop."""
    variable: str | None = None
    """The value of CUDA_VISIBLE_DEVICES; None where it is not set."""
    failed: bool = False
    """Whether NVML could not be asked."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the devices as protocols name them."""
        return tuple(f"cuda:{gpu.index}" for gpu in self.gpus)

    @property
    def by_name(self) -> dict[str, Gpu]:
        """Return the devices by what protocols name them."""
        return dict(zip(self.names, self.gpus, strict=True))

    @property
    def setting(self) -> str:
        """Return the variable as one would write it."""
        return f'{VARIABLE}="{self.variable or ""}"'


def list_visible(inventory: Inventory, environment: Mapping[str, str]) -> DeviceList:
    """List the devices that CUDA would show to a process with some environment.

    Numbers in CUDA_VISIBLE_DEVICES are taken in the driver's order, that of PCI buses. Without
    CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA counts the fastest first, which is the same where all GPUs are of one model;
    where they are not, a number is handed on to the worker as it is, for CUDA to count.

    Args:
        inventory: What NVML says.
        environment: Its CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER are read.
    """
    variable = environment.get(VARIABLE)
    if inventory.failure is not None:
        return DeviceList((), (f"NVML cannot list the GPUs ({inventory.failure})",), variable, failed=True)
    chosen, notes = _choose(variable, inventory.cards, environment.get("CUDA_DEVICE_ORDER"))
    gpus: list[Gpu] = []
    for place, (card, entry) in enumerate(chosen):
        if card.fault is not None:
            notes.append(
                f"cuda:{place} (GPU {card.index} of the driver) is left out: NVML cannot open it ({card.fault})"
            )
            continue
        if card.mode == "prohibited":
            notes.append(
                f"cuda:{place} is left out: its compute mode is prohibited, in which no process may compute on it "
                f"(an administrator changes that: nvidia-smi -i {card.index} -c DEFAULT)"
            )
            continue
        part = card.parts[0] if card.parts else card  # all that CUDA shows of a GPU that is named as a whole
        if len(card.parts) > 1:
            notes.append(
                f"cuda:{place} is the first of the {len(card.parts)} parts that MIG makes of {card.name}: name the "
                f"UUIDs of more in {VARIABLE} to use them"
            )
        gpus.append(Gpu(place, part.uuid, part.name, entry, part.users, card.mode))
    return DeviceList(tuple(gpus), tuple(notes), variable)


def _choose(variable: str | None, cards: Cards, order: str | None) -> tuple[Entries, list[str]]:
    """Return the cards that are visible, and what is wrong with the variable."""
    if variable is None:
        return [(card, None) for card in cards], []
    counted = order == "PCI_BUS_ID" or len({card.name for card in cards if card.name}) < 2
    chosen, notes = _read_entries(variable, cards, counted=counted)
    if cards and not chosen:
        notes.append(f'{VARIABLE}="{variable}" hides every GPU of this machine ({len(cards)})')
    return chosen, notes


def _read_entries(variable: str, cards: Cards, *, counted: bool) -> tuple[Entries, list[str]]:
    """Return the cards that the variable names, in order, with what a worker is to be told; and what was wrong.

    The list ends at the first entry that names no device, and is empty where a device is in it twice.
    """
    chosen: Entries = []
    for entry in map(str.strip, variable.split(",")):
        card = _find(entry, cards)
        if card is None:
            meant = entry.startswith("-") or entry in ("", "NoDevFiles")
            problem = f'{VARIABLE}="{variable}": {entry} names no GPU of this machine, and CUDA ends the list there'
            return chosen, [] if meant else [problem]
        if any(card is other for other, _ in chosen):
            return [], [f'{VARIABLE}="{variable}" names one GPU twice, for which CUDA takes none at all']
        chosen.append((card, None if counted or card.index is None or _number(entry) is None else entry))
    return chosen, []


def _find(entry: str, cards: Cards) -> Card | None:
    """Return the card of a number, a UUID or the beginning of one UUID; None where there is none."""
    number = _number(entry)
    if number is not None:
        return next((card for card in cards if card.index == number), None)
    if not re.match("(GPU|MIG)-.", entry):
        return None
    every = [*cards, *(part for card in cards for part in card.parts)]
    matches = [card for card in every if card.uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _number(entry: str) -> int | None:
    """Return the digits that an entry begins with, which is how CUDA reads a number."""
    digits = re.match(r"\+?(\d+)", entry)
    return int(digits[1]) if digits else None
