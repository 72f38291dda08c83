"""Holds what is known of the operations of a training and of its process, in memory and in files, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Optional, Union

from .seeds import Seeding

Settings = dict[str, Union[bool, int, str]]
"""Settings of torch and of the process, by name."""

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


class Difference(NamedTuple):
    """Describes the difference of two tensors of one shape and type."""

    elements: int
    differing: int
    """Elements whose bits differ."""
    ulps: Optional[float]
    """The largest difference in units of the last place; None of integers and where one of both is NaN."""
    absolute: Optional[float]
    """The largest difference of two finite values."""
    where: tuple[int, ...]
    """The first differing place, row by row."""
    first: str
    """The first tensor's value there, with all digits."""
    second: str


class Loader(NamedTuple):
    """Describes a loader as the program made it."""

    place: str
    """File and line that made it."""
    workers: int


class Facts(NamedTuple):
    """Says how a run came to its end, and what often makes two runs differ."""

    reason: str = "ended"
    """Why it ended: by itself, or what ended it."""
    unread: int = 0
    """Tensors that could not be read: of a mark with the most, without marks of all operations together."""
    settings: Settings = {}  # noqa: RUF012 - nobody writes into it
    seeds: tuple[Seeding, ...] = ()
    loaders: tuple[Loader, ...] = ()


def write_facts(facts: Facts) -> str:
    """Return facts as JSON."""
    return json.dumps(facts._asdict())


def parse_facts(text: str) -> Facts:
    """Return the facts of a file; the empty ones where the run did not come to the end of writing it."""
    try:
        found = Facts(**json.loads(text))
    except ValueError:
        return Facts()
    return found._replace(
        seeds=tuple(Seeding(*one) for one in found.seeds), loaders=tuple(Loader(*one) for one in found.loaders)
    )


def write_differences(found: dict[str, Difference]) -> str:
    """Return differences by the label of their tensors as JSON."""
    return json.dumps(found)


def parse_differences(text: str) -> dict[str, Difference]:
    """Return the differences of a file by label; none where the run did not come to the end of writing it."""
    try:
        found = {label: Difference(*values) for label, values in json.loads(text).items()}
    except ValueError:
        return {}
    return {label: one._replace(where=tuple(one.where)) for label, one in found.items()}


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
