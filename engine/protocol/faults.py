"""Faults of a protocol: collected, not raised one by one, and shown so that hostile text stays harmless."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from engine.errors import NondetError

SHOWN_CHARACTERS = 60
"""A longer value is cut when shown: a fault must fit a terminal line or two."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a protocol."""

    key: str
    """Dotted key as in the file, e.g. train.epochs or arm[2].vary; empty for the file itself."""
    problem: str
    """What is wrong and what is allowed."""
    remedy: str
    """What to do about it."""
    value: str | None = None
    """The value as shown, see `show_value`; None where there is none."""

    def format(self) -> str:
        """Return the fault as two lines: the key, its value and the problem, then the remedy."""
        shown = "" if self.value is None else f" = {self.value}"
        head = f"{printable(self.key)}{shown}: " if self.key else ""
        return f"  {head}{self.problem}\n    -> {self.remedy}"


class ProtocolError(NondetError):
    """Every fault of one protocol file."""

    def __init__(self, file: str, faults: Iterable[Fault]) -> None:
        """Keep the faults for screens that show them beside their field."""
        self.file = file
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "\n".join(fault.format() for fault in self.faults)
        super().__init__(f"{printable(file)}: {count}, nothing was trained\n{lines}")


def printable(text: str) -> str:
    """Return a text with control characters, bidirectional ones and other invisible ones escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def show_value(value: object) -> str:
    """Return a TOML value as one short printable line."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # a list that contains itself cannot come from TOML, a lone surrogate can come from --set
        text = repr(value)
    text = printable(text)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}… ({len(text)} characters)"


def suggest(name: str, names: Iterable[str]) -> str:
    """Return the remedy for an unknown name: the nearest valid name first where one is near, then all valid names."""
    valid = list(names)
    by_lower = {one.lower(): one for one in valid}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    listing = f"valid: {', '.join(valid)}"
    return f"did you mean {by_lower[near[0]]}? {listing}" if near else f"use one of the valid names; {listing}"
