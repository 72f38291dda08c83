"""Says counts of things in words that agree with them: one run, two runs."""

from __future__ import annotations


def plural(count: int, one: str) -> str:
    """Return a count with its noun."""
    return f"{count} {one if count == 1 else f'{one}s'}"


def all_of(count: int, one: str) -> str:
    """Return the words for all things of a kind: "all 3 runs", "the only run"."""
    return f"the only {one}" if count == 1 else f"all {count} {one}s"


def be(count: int) -> str:
    """Return the verb that says of so many things what they are."""
    return "is" if count == 1 else "are"
