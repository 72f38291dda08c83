"""Watches which seeds a program sets, and where in its code; it sets none itself unless a run is to hold them fixed."""

from __future__ import annotations

import functools
import sys
import time
from itertools import count
from types import FrameType
from typing import Any, NamedTuple, Optional

MOST = 100
"""Calls that are kept."""
FIXED = 0
"""The seed that is set where seeds are held fixed."""
START_S = 1_700_000_000
"""What a clock that is held fixed begins with."""


class Seeding(NamedTuple):
    """Describes one call that sets a seed."""

    function: str
    value: str
    place: str
    """File and line of the call."""


class SeedWatch:
    """Puts functions that set seeds behind functions that write down what they are given."""

    def __init__(self, *, fixed: bool) -> None:
        """Begin with nothing written down.

        Args:
            fixed: Whether every seed that is set becomes the same one.
        """
        self.seen: list[Seeding] = []
        self._fixed = fixed
        self._inside = False

    def watch(self, owner: Any, name: str, title: str) -> None:
        """Watch a function of a module, and call it once where seeds are held fixed."""
        plain = getattr(owner, name, None)
        if plain is None:
            return

        @functools.wraps(plain)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if self._inside:  # one function that sets seeds calls another
                return plain(*args, **kwargs)
            if len(self.seen) < MOST:
                given = (*args, *kwargs.values())
                value = write_seed(given[0]) if given else "none"
                self.seen.append(Seeding(title, value, find_place(sys._getframe(1))))
            self._inside = True
            try:
                return plain(FIXED) if self._fixed else plain(*args, **kwargs)
            finally:
                self._inside = False

        setattr(owner, name, watched)
        if self._fixed:
            plain(FIXED)


def write_seed(value: Any) -> str:
    """Return a seed as text that is the same in every process: of objects such as generators the type alone."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # numbers and arrays of numpy and torch
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(write_seed, value))}]"
    if value is None or isinstance(value, (int, float, str, bytes, bytearray)):
        return str(value)
    return type(value).__name__


def find_place(frame: Optional[FrameType]) -> str:
    """Return file and line of the innermost frame that is no library's."""
    first = frame
    while frame is not None:
        name = frame.f_code.co_filename
        if "site-packages" not in name and "dist-packages" not in name and not name.startswith("<"):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return f"{first.f_code.co_filename}:{first.f_lineno}" if first is not None else ""


def fix_time() -> None:
    """Make the clock say the same in every run: a millisecond more with every look."""
    looks = count()

    def tell_ns() -> int:
        """Return the next moment in nanoseconds."""
        return START_S * 10**9 + next(looks) * 10**6

    def tell_s() -> float:
        """Return it in seconds."""
        return tell_ns() / 1e9

    time.time, time.time_ns = tell_s, tell_ns
