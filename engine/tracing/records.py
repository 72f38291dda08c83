"""Holds what is known of one operation of a training, in memory and as a line of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Optional

GENERATOR = "generator"
"""Label of a random operation's generator among its inputs."""


class Value(NamedTuple):
    """Describes one tensor that an operation read or wrote."""

    label: str
    """Name of the argument, or number of the output; with its place where it is one of a list, as in `self[3]`."""
    dtype: str
    shape: tuple[int, ...]
    print: Optional[int]
    """Fingerprint of all bits in their order; None where the content is not known or means nothing."""
    parameter: str
    """Qualified name of the parameter or buffer whose memory it is, else empty."""


class Record(NamedTuple):
    """Describes one operation as it was executed."""

    number: int
    """Place in the sequence, from 0."""
    name: str
    """Name of the operation, such as `aten::convolution_backward`."""
    module: str
    """Qualified name of the module that it belongs to, in the backward pass too; empty where there is none."""
    phase: str
    """One of forward, backward, optimiser, other."""
    is_random: bool
    """Whether it draws random numbers."""
    arguments: str
    """All arguments that are no tensors, as text."""
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def write_line(record: Record) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(record, separators=(",", ":")) + "\n"


def read_line(line: str) -> Record:
    """Return the record of a line.

    Raises:
        ValueError: If it is none.
    """
    number, name, module, phase, is_random, arguments, inputs, outputs = json.loads(line)
    return Record(number, name, module, phase, is_random, arguments, _read_values(inputs), _read_values(outputs))


def _read_values(rows: Iterable[list]) -> tuple[Value, ...]:
    return tuple(Value(label, dtype, tuple(shape), found, name) for label, dtype, shape, found, name in rows)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a file, without a last line that was not finished."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield read_line(line)
