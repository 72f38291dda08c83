"""Declares a key of a protocol: its check, default, remedy and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from engine.protocol.checks import Check


@dataclass(frozen=True)
class Key:
    """The declaration of one key."""

    check: Check
    default: Any
    """None where the key has to be set, or where leaving it out means what its sentence says."""
    remedy: str
    """An example, or the reason of the limits, for whoever got it wrong."""
    meaning: str
    """One sentence that says what the key does."""


def key(check: Check, default: Any, remedy: str, meaning: str) -> Any:
    """Declare a field of a section as a key.

    Returns:
        A dataclass field, typed as anything so that the annotation beside it holds.
    """
    metadata = {"key": Key(check, default, remedy, meaning)}
    if isinstance(default, dict):
        return field(default_factory=dict[str, Any], metadata=metadata)
    if isinstance(default, list):
        return field(default_factory=list[Any], metadata=metadata)
    return field(default=default, metadata=metadata)


def declared(section: type[Any]) -> dict[str, Key]:
    """Return the keys of a section by name, in their order."""
    return {one.name: one.metadata["key"] for one in fields(section)}
