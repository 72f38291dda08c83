"""Placeholders in the words of a user's own command: which there are, how they are found, and how they are filled in.

A placeholder is a name in braces: {out}, {seed.init}, {arm.lr}. Anything else in braces is text, as in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")

EVERYTHING = "seed"
"""The source that a program with a single seed has; its placeholder is {seed}."""

PLAIN = ("python", "out", "replica", "seed", "checkpoint")
"""The placeholders without a second part."""

CHECKPOINT = "checkpoint"

SEED_PREFIX, ARM_PREFIX = "seed.", "arm."


def find_placeholders(words: Iterable[str]) -> dict[str, str]:
    """Return each placeholder with the first word that holds it, in order."""
    found: dict[str, str] = {}
    for word in words:
        for name in PLACEHOLDER.findall(word):
            found.setdefault(name, word)
    return found


def fill_in(word: str, values: Mapping[str, str]) -> str:
    """Return a word with its placeholders replaced; one that has no value stays as it is."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), word)


def write_placeholder(source: str) -> str:
    """Return the placeholder of a source's seed: {seed} of the one that is everything at once, else {seed.SOURCE}."""
    return "{seed}" if source == EVERYTHING else f"{{{SEED_PREFIX}{source}}}"


def name_source(placeholder: str) -> str | None:
    """Return the source whose seed a placeholder stands for; None where it stands for something else."""
    if placeholder == EVERYTHING:
        return EVERYTHING
    return placeholder.removeprefix(SEED_PREFIX) if placeholder.startswith(SEED_PREFIX) else None


def name_argument(words: Iterable[str], environment: Mapping[str, str], source: str) -> str:
    """Return what a user calls a source's seed: the option before its placeholder, a variable, or the placeholder."""
    placeholder, before = write_placeholder(source), ""
    for word in words:
        if placeholder in word:
            option = word.partition("=")[0] if word.startswith("-") and "=" in word else before
            return option if option.startswith("-") else placeholder
        before = word
    return next((name for name, value in environment.items() if placeholder in value), placeholder)
