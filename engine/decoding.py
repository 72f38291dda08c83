"""Reads JSON into typed records, in several threads at once.

msgspec works out what a type looks like when it is first asked for, and marks that as known before it is whole: a
second thread that decodes the same type in that moment ends the process (a segmentation fault, in msgspec 0.22). So
the first use of each type is done alone.
"""

from __future__ import annotations

import threading
from typing import TypeVar

import msgspec

T = TypeVar("T")

_known: set[object] = set()
"""The types that are worked out."""

_first_use = threading.RLock()


def _work_out(wanted: object) -> None:
    """Build what msgspec knows of a type and of all that it holds, once."""
    if wanted in _known:
        return
    with _first_use:
        msgspec.json.Decoder(wanted)
        _known.add(wanted)


def decode_json(content: bytes, wanted: type[T]) -> T:
    """Return what some JSON holds; see `msgspec.json.decode` for what is raised."""
    _work_out(wanted)
    return msgspec.json.decode(content, type=wanted)


def convert(value: object, wanted: type[T]) -> T:
    """Return plain lists and dictionaries as a typed record; see `msgspec.convert` for what is raised."""
    _work_out(wanted)
    return msgspec.convert(value, wanted)
