"""Lines of epochs.jsonl: one per epoch, appended whole by one writer, read from any offset.

A torn last line is normal (the writer may be in the middle of it, or was killed there); other bad lines are
skipped and counted.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.study.files import explain_write_errors, refuse_exhaustion

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """Figures at the end of one epoch."""

    epoch: int
    """1 after the first pass over the training data."""
    train_loss: float
    """Nats, mean over the epoch's examples."""
    test_accuracy: float
    """Percent."""
    test_cross_entropy: float
    """Nats."""
    test_perplexity: float | None = None
    """exp of the cross-entropy, for text; None for images."""
    lr: float
    """Of the epoch's last step."""
    seconds: float
    """Training and evaluation together."""


NUMBERS = ("train_loss", "test_accuracy", "test_cross_entropy", "lr", "seconds")
OPTIONAL = ("test_perplexity",)


def format_epoch(record: EpochRecord) -> bytes:
    """One line; numbers that are not finite are null and named under "nonfinite"."""
    content: dict[str, Any] = {"v": FORMAT} | asdict(record)
    if content["test_perplexity"] is None:
        del content["test_perplexity"]
    nonfinite = [name for name in (*NUMBERS, *OPTIONAL) if name in content and not math.isfinite(content[name])]
    for name in nonfinite:
        content[name] = None
    if nonfinite:
        content["nonfinite"] = nonfinite
    return (json.dumps(content, allow_nan=False) + "\n").encode()


def append_epoch(path: Path, record: EpochRecord) -> None:
    """Add one line in a single write, so that a reader never sees a line of another length in its middle."""
    line = format_epoch(record)
    with explain_write_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            start = os.fstat(descriptor).st_size
            if os.write(descriptor, line) != len(line):
                # A full disk takes part of a line; taken back, the next try does not continue a torn one.
                os.ftruncate(descriptor, start)
                raise OSError(28, os.strerror(28))
        finally:
            os.close(descriptor)


def parse_epoch(line: bytes) -> EpochRecord | None:
    """The record of one complete line; None where it is none of ours."""
    try:
        content = json.loads(line)
        epoch = content["epoch"]
        names = [*NUMBERS, *(name for name in OPTIONAL if name in content)]
        numbers = {name: math.nan if content[name] is None else float(content[name]) for name in names}
    except (ValueError, KeyError, TypeError):
        return None
    return EpochRecord(epoch=epoch, **numbers) if isinstance(epoch, int) else None


@dataclass(frozen=True)
class EpochChunk:
    """What was read of a file of epochs."""

    records: tuple[EpochRecord, ...]
    bad_lines: int
    offset: int
    """Where to read on: behind the last complete line."""


def read_epochs(path: Path, *, offset: int = 0) -> EpochChunk:
    """Read the complete lines from an offset on; nothing where the file is absent.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except OSError as error:
        refuse_exhaustion(error, path)
        return EpochChunk((), 0, offset)
    end = content.rfind(b"\n") + 1
    parsed = [parse_epoch(line) for line in content[:end].splitlines() if line.strip()]
    records = tuple(record for record in parsed if record is not None)
    return EpochChunk(records, len(parsed) - len(records), offset + end)
