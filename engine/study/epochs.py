"""Lines of epochs.jsonl: one per epoch, appended whole by one writer, read from any offset.

A torn last line is normal (the writer may be in the middle of it, or was killed there); other bad lines are
skipped and counted, and so are epochs that a file of so many lines cannot have.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.recipe import MAX_EPOCHS, MOST_SKETCHES
from engine.study.files import explain_write_errors, refuse_exhaustion
from engine.study.opening import open_regular, open_to_append, read_exactly
from engine.study.records import JSON_FAULTS, Record, encode_record, name_nonfinite

BUCKETS = 16
"""Numbers of one sketch; see `engine.study.sketches`."""

SKETCH_BYTES = 8 * (1 + BUCKETS)

MAX_LINE_BYTES = 500 + 4 * -(-MOST_SKETCHES * SKETCH_BYTES // 3)
"""More than a line ever has."""

MAX_BYTES = MAX_EPOCHS * MAX_LINE_BYTES
"""How large a file of epochs may be: what is behind that is not read."""


class EpochRecord(Record, frozen=True, kw_only=True, tag=1):
    """Figures at the end of one epoch; one that is not finite is read back as None."""

    epoch: int
    """1 after the first pass over the training data."""
    train_loss: float | None
    """Nats, mean over the epoch's examples."""
    test_accuracy: float | None
    """Percent; None where a user's own program reports none."""
    test_cross_entropy: float | None
    """Nats."""
    test_perplexity: float | None = None
    """exp of the cross-entropy, for text; None for images."""
    lr: float | None
    """The learning rate of the epoch's last step; None where a user's own program reports none."""
    seconds: float
    """Training and evaluation together."""

    scores: dict[str, float] = {}  # noqa: RUF012 - msgspec copies it, and leaves it out of the file
    """Other numbers that a user's own program reports, by name."""
    weights: str | None = None
    """Digest of the weights and buffers at the end of the epoch: 16 hexadecimal digits, equal where every bit is."""
    start: str | None = None
    """The same before the first step of all; in the record of the first epoch alone."""
    sketches: str | None = None
    """Where the weights were after some steps of the epoch and at its end; see `engine.study.sketches`."""
    nonfinite: tuple[str, ...] = ()
    """Names of the figures that were not finite: their None is not the absence of a figure."""

    @property
    def reported_name(self) -> str | None:
        """The name of the number that stands for an accuracy where a program reports none; None elsewhere."""
        if self.test_accuracy is not None or self.is_text:
            return None
        return next(iter(self.scores), "loss")

    @property
    def reported(self) -> float | None:
        """The number of that name: the first score, else the loss of training."""
        name = self.reported_name
        return None if name is None else self.scores.get(name, self.train_loss)

    @property
    def is_text(self) -> bool:
        """Tell whether the run trains a language model."""
        return self.test_perplexity is not None or "test_perplexity" in self.nonfinite


FIGURES = ("train_loss", "test_cross_entropy", "test_perplexity")
"""The figures that may not be finite."""

_DECODER = msgspec.json.Decoder(EpochRecord)


def format_epoch(record: EpochRecord) -> bytes:
    """Return one line; numbers that are not finite are null and named under "nonfinite"."""
    nonfinite = name_nonfinite(record, FIGURES)
    named = msgspec.structs.replace(record, nonfinite=nonfinite) if nonfinite else record
    return encode_record(named, compact=True)


def append_epoch(path: Path, record: EpochRecord) -> None:
    """Add one line in a single write, so that a reader never sees a line of another length in its middle."""
    line = format_epoch(record)
    with explain_write_errors(path):
        descriptor = open_to_append(path)
        try:
            start = os.fstat(descriptor).st_size
            if os.write(descriptor, line) != len(line):
                # A full disk may take part of a line. That part is removed, so that the next try does not continue it.
                os.ftruncate(descriptor, start)
                raise OSError(28, os.strerror(28))
        finally:
            os.close(descriptor)


def parse_epoch(line: bytes) -> EpochRecord | None:
    """Return the record of one complete line; None where the line is no such record."""
    try:
        return _DECODER.decode(line)
    except JSON_FAULTS:
        return None


@dataclass(frozen=True)
class EpochChunk:
    """The records that one read of a file of epochs has found, and the place where the next read starts."""

    records: tuple[EpochRecord, ...]
    bad_lines: int
    offset: int
    """Where to read on: behind the last complete line."""


def read_epochs(path: Path, *, offset: int = 0, before: int = 0, most: int = MAX_BYTES) -> EpochChunk:
    """Read the complete lines from an offset on; nothing where the file is absent.

    Args:
        path: The file.
        offset: Where to begin; 0, or what an earlier chunk holds.
        before: How many lines there are before the offset.
        most: Where the file is taken to end.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    try:
        with open_regular(path) as (descriptor, status):
            os.lseek(descriptor, offset, os.SEEK_SET)
            content = read_exactly(descriptor, max(0, min(status.st_size, most) - offset))
    except OSError as error:
        refuse_exhaustion(error, path)
        return EpochChunk((), 0, offset)
    end = content.rfind(b"\n") + 1
    lines = [line for line in content[:end].split(b"\n") if line.strip()]
    found = [record for line in lines if (record := parse_epoch(line)) is not None]
    # The k-th line is of epoch k, or of an earlier one where lines before it were lost: a forged epoch of 2,000,000,000
    # would have whoever keeps figures by epoch make room for all epochs before it.
    records = tuple(record for record in found if 0 < record.epoch <= before + len(lines))
    return EpochChunk(records, len(lines) - len(records), offset + end)
