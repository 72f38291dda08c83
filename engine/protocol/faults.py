"""Faults of a protocol: collected, not raised one by one, and shown so that hostile text stays harmless."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.errors import NondetError

SHOWN_CHARACTERS = 60
"""A longer value is cut when shown: a fault must fit a terminal line or two."""
SHOWN_KEY = 80
SHOWN_FILE = 200
SHOWN_SENTENCE = 1200
"""What is allowed and what to do may list many names; what a user wrote never makes them longer than this."""
SHOWN_NAMES = 120
"""Valid names that are listed, and compared with a mistyped one."""
SHOWN_FAULTS = 20
SHOWN_MESSAGE = 3_500
"""Faults beyond these are counted, not shown: a message must fit a screen or two, whatever the file holds."""


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
    arm: str | None = None
    """The name of the arm that the key is of; None where that has none, or the key is no arm's."""

    def format(self) -> str:
        """Return the fault as two lines: the key, its arm's name, its value and the problem, then the remedy."""
        shown = "" if self.value is None else f" = {self.value}"
        named = "" if self.arm is None else f" (arm {show_value(self.arm)})"
        head = f"{cut(printable(self.key), SHOWN_KEY)}{named}{shown}: " if self.key else ""
        problem, remedy = (cut(printable(sentence), SHOWN_SENTENCE) for sentence in (self.problem, self.remedy))
        return f"  {head}{problem}\n    -> {remedy}"


class ProtocolError(NondetError):
    """Every fault of one protocol file."""

    def __init__(self, file: str, faults: Iterable[Fault]) -> None:
        """Keep the faults for screens that show them beside their field."""
        self.file = file
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{show_path(file)}: {count}, nothing was trained\n{format_faults(self.faults)}")


def printable(text: str) -> str:
    """Return a text with control characters, bidirectional ones and other invisible ones escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def cut(text: str, limit: int) -> str:
    """Return a text, or its beginning with its whole length behind it where it is longer than a limit."""
    return text if len(text) <= limit else f"{text[: limit - 1]}… ({len(text)} characters)"


def show_path(path: object) -> str:
    """Return a path as printable text; of a very long one its end, which tells more than its beginning."""
    text = printable(str(path))
    return text if len(text) <= SHOWN_FILE else f"…{text[1 - SHOWN_FILE :]}"


def format_faults(faults: Sequence[Fault]) -> str:
    """Return the first faults, as many as a message holds, and how many there are beyond them."""
    lines: list[str] = []
    for fault in faults[:SHOWN_FAULTS]:
        text = fault.format()
        if lines and sum(map(len, lines)) + len(text) > SHOWN_MESSAGE:
            break
        lines.append(text)
    more = len(faults) - len(lines)
    return "\n".join([*lines, f"  … and {more} more: repair these first"] if more else lines)


def show_value(value: object) -> str:
    """Return a TOML value as one short printable line."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "(nested too deep to be shown)"
    except ValueError:  # a whole number with more digits than Python writes, or a list that contains itself
        text = hex(value) if isinstance(value, int) else f"a {type(value).__name__} with a number too long to be shown"
    return cut(printable(text), SHOWN_CHARACTERS)


def suggest(name: str, names: Iterable[str]) -> str:
    """Return the remedy for an unknown name: the nearest valid name first where one is near, then all valid names."""
    valid = list(names)
    near = find_near(name, valid)
    more = f", … and {len(valid) - SHOWN_NAMES} more" if len(valid) > SHOWN_NAMES else ""
    listing = f"valid: {', '.join(valid[:SHOWN_NAMES])}{more}"
    return f"use one of the valid names; {listing}" if near is None else f"did you mean {near}? {listing}"


def find_near(name: str, names: Iterable[str]) -> str | None:
    """Return the valid name that is nearest to a mistyped one; None where none is near."""
    by_lower = {one.lower(): one for one in list(names)[:SHOWN_NAMES]}
    near = difflib.get_close_matches(name[:SHOWN_KEY].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None
