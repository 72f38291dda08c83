"""Finds where two records of one training first disagree, and says of which kind that is."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple, Optional

from .records import GENERATOR, Record, Value

INPUT = "input"
"""Inputs differ that no recorded operation made: data, or what was changed outside of torch's operations."""
OPERATIONS = "operations"
"""The runs do other operations, in another number or in other modules: the program takes another way."""
ARGUMENT = "argument"
"""A number that is no tensor differs: it was computed by the program, not by torch."""
RANDOM = "random"
"""Random numbers are drawn from generators in different states."""
KERNEL = "kernel"
"""All inputs agree, to the bit, and an output does not."""
MEMORY = "memory"
"""Memory is read that no operation has written into."""


class Verdict(NamedTuple):
    """Says where two runs part."""

    kind: str
    """One of the kinds above."""
    number: int
    """Place in the sequence."""
    first: Optional[Record]
    """What the first run did there; None where it had ended."""
    second: Optional[Record]
    """What the second run did there."""
    place: str
    """What differs: "input LABEL" or "output LABEL" of the operation; empty of other kinds."""
    parameter: str
    """The parameter whose memory that is, or empty."""


def compare(first: Iterable[Record], second: Iterable[Record]) -> Optional[Verdict]:
    """Return where two sequences of records first differ, or None where they agree.

    An output that comes of memory which nothing was written into does not count unless something differs because of it.
    """
    suspect: Optional[Verdict] = None
    for one, other in zip_longest(first, second):
        verdict = _compare_pair(one, other)
        if verdict is None:
            continue
        if verdict.kind != MEMORY:
            return suspect if suspect is not None and verdict.kind in (INPUT, ARGUMENT) else verdict
        suspect = suspect or verdict
    return None


def _compare_pair(one: Optional[Record], other: Optional[Record]) -> Optional[Verdict]:  # noqa: PLR0911 - one per kind
    record = one or other
    assert record is not None, "zip_longest gives one of both"
    if one is None or other is None or _name(one) != _name(other):
        return Verdict(OPERATIONS, record.number, one, other, "", "")
    outcome = _find_difference(one.outputs, other.outputs)
    if one.inputs == other.inputs and one.arguments == other.arguments and outcome is None:
        return None
    inputs = [_find_difference((a,), (b,)) for a, b in zip(one.inputs, other.inputs)]
    tensors = [found for found in inputs if found is not None and found.label != GENERATOR]
    if tensors or len(one.inputs) != len(other.inputs):
        found = tensors[0] if tensors else one.inputs[0]
        return Verdict(INPUT, one.number, one, other, f"input {found.label}", found.parameter)
    if one.arguments != other.arguments:
        return Verdict(ARGUMENT, one.number, one, other, "", "")
    if outcome is None:
        return None
    if any(inputs):
        return Verdict(RANDOM, one.number, one, other, f"output {outcome.label}", outcome.parameter)
    unknown = any(value.print is None and value.shape != (0,) for value in one.inputs)
    kind = MEMORY if unknown else KERNEL
    return Verdict(kind, one.number, one, other, f"output {outcome.label}", outcome.parameter)


def _name(record: Record) -> tuple[str, str, str]:
    return record.name, record.module, record.phase


def _find_difference(values: tuple[Value, ...], others: tuple[Value, ...]) -> Optional[Value]:
    """Return the first value that is not the same in both; fingerprints that are not known agree."""
    for one, other in zip_longest(values, others):
        if one is None or other is None:
            return one or other
        if one[:3] != other[:3] or (one.print != other.print and None not in (one.print, other.print)):
            return one
    return None
