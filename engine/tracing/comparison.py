"""Finds where two records of one training first disagree, and says of which kind that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


Pair = tuple
"""Holds the fingerprints of one tensor in both runs, or the shapes where there are none."""


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


class Suspect:
    """Holds an operation that differs for no reason that was recorded, until it is known what comes of it."""

    def __init__(self, verdict: Verdict, pairs: list[Pair], *, counts: bool) -> None:
        """Take what would be said of it, and what differs there.

        Args:
            verdict: What would be said.
            pairs: Fingerprints in both runs.
            counts: Whether it is a difference even if nothing is seen to come of it.
        """
        self.verdict, self.pairs = verdict, set(pairs)
        self.left = set(pairs) if counts else set()
        """What no operation with equal outputs has read: what one has read is memory that means nothing."""


def compare(first: Iterable[Record], second: Iterable[Record]) -> Optional[Verdict]:
    """Return where two sequences of records first differ, or None where they agree.

    An output that differs and of which nothing comes does not count: some operations return memory as they found it.
    """
    suspects: list[Suspect] = []
    for one, other in zip_longest(first, second):
        if one == other:
            continue
        record = one or other
        assert record is not None, "zip_longest gives one of both"
        if one is None or other is None or _name(one) != _name(other):
            return _find_harmful(suspects) or Verdict(OPERATIONS, record.number, one, other, "", "")
        inputs, outputs = _find_pairs(one.inputs, other.inputs), _find_pairs(one.outputs, other.outputs)
        if not outputs:
            for suspect in suspects:
                suspect.left -= set(inputs)
            if inputs and not any(suspect.pairs & set(inputs) for suspect in suspects):
                suspects.append(Suspect(_judge(one, other), inputs, counts=False))
            continue
        verdict = _judge(one, other)
        if inputs or verdict.kind in (INPUT, ARGUMENT):
            known = next((suspect.verdict for suspect in suspects if suspect.pairs & set(inputs)), None)
            return known or _find_harmful(suspects) or verdict
        suspects.append(Suspect(verdict, outputs, counts=verdict.kind != MEMORY))
    return _find_harmful(suspects)


def reconsider(verdict: Verdict, apart: Collection[str]) -> Verdict:
    """Return a verdict of the same operation when it is known which of its tensors differ themselves.

    Memory that torch has read keeps its fingerprint until the step ends. What numpy has written into it since is an
    input that differs, and was taken for one that agrees.

    Args:
        verdict: What was said by fingerprints.
        apart: Those of the operation's tensors that differ, named as in the verdict.
    """
    if verdict.kind != KERNEL or verdict.first is None:
        return verdict
    found = next((value for value in verdict.first.inputs if f"input {value.label}" in apart), None)
    if found is None:
        return verdict
    return verdict._replace(kind=INPUT, place=f"input {found.label}", parameter=found.parameter)


def _find_harmful(suspects: list[Suspect]) -> Optional[Verdict]:
    return next((suspect.verdict for suspect in suspects if suspect.left), None)


def _judge(one: Record, other: Record) -> Verdict:
    """Say of which kind the difference of two records is that name the same operation."""
    tensors = [[value for value in record.inputs if value.label != GENERATOR] for record in (one, other)]
    entered = _find_difference(*map(tuple, tensors))
    if entered is not None:
        return Verdict(INPUT, one.number, one, other, f"input {entered.label}", entered.parameter)
    if one.arguments != other.arguments:
        return Verdict(ARGUMENT, one.number, one, other, "", "")
    outcome = _find_difference(one.outputs, other.outputs)
    assert outcome is not None, "an output differs where nothing else does"
    if one.inputs != other.inputs:
        kind = RANDOM
    else:
        unknown = any(value.print is None and value.shape != (0,) for value in one.inputs)
        kind = MEMORY if unknown else KERNEL
    return Verdict(kind, one.number, one, other, f"output {outcome.label}", outcome.parameter)


def _find_pairs(values: tuple[Value, ...], others: tuple[Value, ...]) -> list[Pair]:
    """Return what differs in two rows of tensors; the generator is left out.

    A tensor and another look at its memory, such as its transpose, have the same fingerprint and are the same here.
    """
    pairs: list[Pair] = []
    for one, other in zip_longest(values, others):
        if one is not None and other is not None:
            if one.label != GENERATOR and _find_difference((one,), (other,)) is not None:
                pairs.append(tuple(value.shape if value.print is None else value.print for value in (one, other)))
        else:
            pairs.append((one, other))
    return pairs


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
