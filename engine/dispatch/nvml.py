"""NVIDIA's management library: the GPUs of this machine as the driver lists them, without a CUDA context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pynvml


@dataclass(frozen=True)
class Card:
    """One GPU, or one part of a GPU that MIG divides."""

    uuid: str
    """Empty where the driver cannot open it."""
    name: str
    index: int | None = None
    """The driver's, in the order of PCI buses; None for a part."""
    parts: tuple[Card, ...] = ()
    """What MIG has made of it."""
    fault: str | None = None
    """Why the driver cannot open it."""


@dataclass(frozen=True)
class Inventory:
    """What the library says of this machine."""

    cards: tuple[Card, ...] = ()
    failure: str | None = None
    """Why it says nothing: its own words."""


def take_inventory() -> Inventory:
    """Ask the library; a GPU that it cannot open stays in the list, with the reason."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Inventory(failure=str(error))
    try:
        return Inventory(tuple(_look_at(index) for index in range(pynvml.nvmlDeviceGetCount())))
    except pynvml.NVMLError as error:
        return Inventory(failure=str(error))
    finally:
        pynvml.nvmlShutdown()


def _look_at(index: int) -> Card:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return Card(
            str(pynvml.nvmlDeviceGetUUID(handle)), str(pynvml.nvmlDeviceGetName(handle)), index, _find_parts(handle)
        )
    except pynvml.NVMLError as error:
        return Card("", "", index, fault=str(error))


def _find_parts(handle: Any) -> tuple[Card, ...]:
    """The parts of a GPU; none where it is not divided, or too old to be."""
    parts = []
    try:
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            part = _open_part(handle, number)
            if part is not None:
                parts.append(Card(str(pynvml.nvmlDeviceGetUUID(part)), str(pynvml.nvmlDeviceGetName(part))))
    except pynvml.NVMLError:
        return tuple(parts)
    return tuple(parts)


def _open_part(handle: Any, number: int) -> Any:
    """A part's handle; None at a number that no part has."""
    try:
        return pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
    except pynvml.NVMLError_NotFound:  # pyright: ignore[reportAttributeAccessIssue] - made at import
        return None
