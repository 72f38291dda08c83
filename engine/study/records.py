"""The frame of every JSON file of a study folder: one frozen typed record, one reader, one writer.

A record's class states the file's format number as its tag: `class ExitRecord(Record, tag=1)`. The number is written
under "v". A file of another number, of another shape, torn or empty is read as `Damage`, which says what is wrong.
Keys that a record does not know are passed over, so that a later version may add some.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from engine.decoding import decode_json
from engine.errors import StudyError
from engine.study.files import create_file, refuse_exhaustion, write_bytes
from engine.study.opening import UNREADABLE, read_regular

JSON_FAULTS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding raises for content that is not the JSON of a record; the second, for values nested too deep."""

MEGABYTE = 1_000_000


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="v"):
    """The content of one kind of JSON file; fields that hold their default are not written."""

    max_bytes: ClassVar[int] = MEGABYTE
    """How large a file of the kind may be: larger ones are neither written nor read."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Damage:
    """A file that is there and cannot be read as its record."""

    path: Path
    reason: str
    """What is wrong, as the end of a sentence about the file: "is empty"."""
    later: bool = False
    """Whether a later version of the program wrote it: it is whole, and must not be replaced."""
    withheld: bool = False
    """Whether the file system did not let it be read now, which says nothing about its content."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def encode_record(record: Record, *, compact: bool = False) -> bytes:
    """Return a record as the JSON of its file; numbers that are not finite become null.

    Args:
        record: What is to be written.
        compact: Whether all of it is to stand on one line, for long lists of numbers.

    Raises:
        StudyError: If a name in it, such as that of a folder, is not UTF-8; or it is larger than its kind may be.
    """
    try:
        content = msgspec.json.encode(record)
    except UnicodeEncodeError as error:
        raise StudyError(
            f"{error.object!r}: is not UTF-8, so no file can name it: rename the folder or file, or choose another"
        ) from error
    content = (content if compact else msgspec.json.format(content, indent=1)) + b"\n"
    if len(content) > record.max_bytes:
        kind = type(record).__name__
        raise StudyError(
            f"{kind}: would have {len(content):,} bytes, and such a file may have {record.max_bytes:,} at most: "
            "split the study into several, or train fewer arms, replicas or epochs"
        )
    return content


def write_record(path: Path, record: Record, *, compact: bool = False) -> None:
    """Replace a file by a record as a whole; see `write_bytes` for what is raised, and `encode_record`."""
    write_bytes(path, encode_record(record, compact=compact))


def create_record(path: Path, record: Record) -> bool:
    """Write a record to a file that must not be there yet; return whether it was written. See `create_file`."""
    return create_file(path, encode_record(record))


def decode_record(content: bytes, record_type: type[R]) -> R | str:
    """Return the record in a file's content, or what is wrong with it as the end of a sentence about the file."""
    if not content.strip():
        return "is empty"
    try:
        return decode_json(content, record_type)
    except msgspec.ValidationError as error:
        found, expected = _read_format(content), read_tag(record_type)
        if found is not None and found != expected:
            return f"has format {found}, and this version of nondet-tui reads {expected}: install one that wrote it"
        return f"is damaged: {error}"
    except JSON_FAULTS as error:
        return f"is damaged: {error}"


def read_record(path: Path, record_type: type[R]) -> R | Damage | None:
    """Read a file as a record.

    Returns:
        The record, the damage where the file holds no such record, None where there is no file.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    try:
        content = read_regular(path, record_type.max_bytes)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        refuse_exhaustion(error, path)
        return Damage(path, f"cannot be read ({error.strerror})", withheld=error.errno in UNREADABLE)
    found = decode_record(content, record_type)
    if not isinstance(found, str):
        return found
    return Damage(path, found, later=(_read_format(content) or 0) > read_tag(record_type))


def find_record(path: Path, record_type: type[R]) -> R | None:
    """Read a file as a record; None where it is absent or damaged. See `read_record`."""
    found = read_record(path, record_type)
    return found if isinstance(found, record_type) else None


def name_nonfinite(record: Record, names: Iterable[str]) -> tuple[str, ...]:
    """Return which of a record's numbers are neither None nor finite, to be written beside their nulls."""
    return tuple(name for name in names if (value := getattr(record, name)) is not None and value - value != 0.0)


def read_tag(record_type: type[Record]) -> int:
    """Return the format number of a record."""
    tag = record_type.__struct_config__.tag
    assert isinstance(tag, int), "every record states a number"
    return tag


class _Head(msgspec.Struct):
    """The one key that files of every format have."""

    v: int | None = None


def _read_format(content: bytes) -> int | None:
    try:
        return decode_json(content, _Head).v
    except JSON_FAULTS:
        return None
