"""checked.json: what the last measurement was based on, so that nothing is measured or read without need."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from engine.study.records import MEGABYTE, Record


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One run's predictions, which matched their digest."""

    size: int
    """Bytes."""
    changed_ns: int
    """When the content last changed."""
    touched_ns: int
    """When anything about the file last changed."""
    sha256: str
    shape: tuple[int, ...]
    dtype: str | tuple[tuple[str, str], ...]
    """numpy's name of the type of the entries; of a structured type the name and type of each field."""
    finite: bool
    """Whether all predictions are numbers."""


class CheckedFiles(Record, frozen=True, tag=1):
    """The content of checked.json."""

    max_bytes: ClassVar[int] = 32 * MEGABYTE

    measures: str
    """Digest of the declarations by which metrics.json was measured; see `digest_measures`."""
    runs: dict[str, CheckedFile]
    """By run id."""
