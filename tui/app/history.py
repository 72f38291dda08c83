"""Holds the changes of a protocol, so that each can be taken back and made again with the cursor on its arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tui.app.document import Snapshot


@dataclass(frozen=True)
class Place:
    """Holds a protocol, and the arm under the cursor."""

    content: Snapshot
    names: tuple[str, ...]
    """The names of all arms."""
    arm: int | None


@dataclass(frozen=True)
class Step:
    """Holds one change."""

    before: Place
    after: Place


@dataclass
class History:
    """Holds the changes that were made, and those that were taken back."""

    made: list[Step] = field(default_factory=list[Step])
    """Oldest first."""
    undone: list[Step] = field(default_factory=list[Step])
    """The last one that was taken back stands last."""

    def record(self, before: Place, after: Place) -> None:
        """Keep a change; what was taken back before it is gone."""
        self.made.append(Step(before, after))
        self.undone.clear()

    def undo(self, here: Place) -> Place | None:
        """Take the last change back.

        Args:
            here: The protocol and the cursor as they are.

        Returns:
            Where that leads, with the cursor where it was, or on its arm where it was moved since; None where there is
            no change.
        """
        if not self.made:
            return None
        step = self.made.pop()
        self.undone.append(step)
        return _lead(here, step.after, step.before)

    def redo(self, here: Place) -> Place | None:
        """Make the change again that was taken back last; see `undo`."""
        if not self.undone:
            return None
        step = self.undone.pop()
        self.made.append(step)
        return _lead(here, step.before, step.after)


def _lead(here: Place, start: Place, end: Place) -> Place:
    arm = end.arm if here.arm == start.arm else find_arm(here.arm, start.names, end.names)
    return Place(end.content, end.names, arm)


def find_arm(number: int | None, names: Sequence[str], now: Sequence[str]) -> int | None:
    """Return the place, from 0, of an arm after others were added or taken out; None where it is gone.

    Args:
        number: Its place before; None for none.
        names: The names of all arms before the change.
        now: The names of all arms after the change.
    """
    if number is None or number >= len(names):
        return None
    if len(names) == len(now):
        return number
    return now.index(names[number]) if names[number] in now else None
