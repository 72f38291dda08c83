"""Reads what a user's program says of itself while it runs: lines of JSON in {out}/epochs.jsonl, one per epoch.

Any number may be in a line under any name. Some names are known; all others are scores.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from engine.recipe import MAX_EPOCHS
from engine.study.epochs import EpochRecord
from engine.study.opening import open_regular, read_exactly

FILE = "epochs.jsonl"

MAX_READ = 4_000_000
"""Bytes that are read at once."""

MAX_NAME, MAX_SCORES = 40, 12

KNOWN = {
    "train_loss": "train_loss",
    "loss": "train_loss",
    "test_accuracy": "test_accuracy",
    "accuracy": "test_accuracy",
    "test_cross_entropy": "test_cross_entropy",
    "cross_entropy": "test_cross_entropy",
    "lr": "lr",
    "seconds": "seconds",
}
"""Names in a line → fields of an epoch's record."""

PASSED_OVER = ("v", "epoch")


@dataclass
class Reports:
    """Reads the lines that a program adds to its file."""

    folder: Path
    """The program's {out}."""
    earlier: Sequence[EpochRecord] | None = None
    """The epochs before the checkpoint that it goes on from, and perhaps later ones; None from its beginning."""
    offset: int = 0
    epochs: int = 0
    began: float = field(default_factory=time.monotonic)

    def read_new(self) -> list[EpochRecord]:
        """Return the records of the lines that are complete and were not read before; other lines are passed over."""
        try:
            with open_regular(self.folder / FILE) as (descriptor, status):
                if status.st_size <= self.offset or self.epochs >= MAX_EPOCHS:
                    return []
                content = _read_from(descriptor, self.offset)
        except OSError:
            return []
        end = content.rfind(b"\n") + 1
        if not end and len(content) == MAX_READ:
            end = MAX_READ  # no line of an epoch is that long
        self.offset += end
        records: list[EpochRecord] = []
        for line in content[:end].splitlines():
            numbers = read_numbers(line)
            if numbers and self.epochs < MAX_EPOCHS and self._is_placed(line, records):
                records.append(self._make_record(numbers))
        return records

    def _is_placed(self, line: bytes, records: list[EpochRecord]) -> bool:
        """Tell whether it is known which epoch a line is about, and put the epochs before it in front.

        A program that went on has to number its epochs: nobody else knows where its checkpoint was.
        """
        if self.earlier is None:
            return True
        number = json.loads(line).get("epoch")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(self.earlier) + 1:
            return False
        records.extend(self.earlier[: number - 1])
        self.epochs, self.earlier = number - 1, None
        return True

    def _make_record(self, numbers: Mapping[str, float]) -> EpochRecord:
        self.epochs += 1
        now = time.monotonic()
        fields = {KNOWN[name]: value for name, value in numbers.items() if name in KNOWN}
        seconds = fields.pop("seconds", now - self.began)
        self.began = now
        scores = {name: value for name, value in numbers.items() if name not in KNOWN and math.isfinite(value)}
        return EpochRecord(
            epoch=self.epochs,
            train_loss=fields.get("train_loss"),
            test_accuracy=_finite(fields.get("test_accuracy")),
            test_cross_entropy=fields.get("test_cross_entropy"),
            lr=_finite(fields.get("lr")),
            seconds=seconds if math.isfinite(seconds) and seconds >= 0 else 0.0,
            scores=dict(list(scores.items())[:MAX_SCORES]),
        )


def _read_from(descriptor: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return read_exactly(descriptor, MAX_READ)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def read_numbers(line: bytes | str) -> dict[str, float]:
    """Return the numbers in a JSON object, by name; empty where it is none. Numbers may be nan or infinite."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    found = cast("dict[str, Any]", content)
    return {
        name: float(value)
        for name, value in found.items()
        if _is_number(value) and name not in PASSED_OVER and 0 < len(name) <= MAX_NAME and name.isprintable()
    }


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return not isinstance(value, int) or abs(value) < 2**63
