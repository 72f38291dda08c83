"""epochs.jsonl: the contract's line, torn ends, damaged lines, incremental reading."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StoreFullError
from engine.study.epochs import MAX_LINE_BYTES, EpochRecord, append_epoch, format_epoch, parse_epoch, read_epochs

RECORD = EpochRecord(epoch=1, train_loss=0.5, test_accuracy=91.25, test_cross_entropy=0.25, lr=0.1, seconds=1.5)


def test_line_is_the_contracts() -> None:
    assert json.loads(format_epoch(RECORD)) == {
        "v": 1, "epoch": 1, "train_loss": 0.5, "test_accuracy": 91.25, "test_cross_entropy": 0.25, "lr": 0.1,
        "seconds": 1.5,
    }  # fmt: skip


numbers = st.floats(allow_nan=True, allow_infinity=True)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.builds(EpochRecord, epoch=st.integers(0, 10**6), train_loss=numbers, test_accuracy=finite,
                 test_cross_entropy=numbers, test_perplexity=numbers, lr=finite, seconds=finite))  # fmt: skip
def test_record_survives_its_line(record: EpochRecord) -> None:
    line = format_epoch(record)
    again = parse_epoch(line)
    assert again is not None
    expected, found = msgspec.structs.asdict(record), msgspec.structs.asdict(again)
    lost = {name for name, value in expected.items() if isinstance(value, float) and not math.isfinite(value)}
    assert set(again.nonfinite) == lost
    assert found == expected | dict.fromkeys(lost) | {"nonfinite": again.nonfinite}
    assert again.is_text
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"NaN" not in line


def test_values_that_are_not_finite_are_null_and_named() -> None:
    record = EpochRecord(epoch=1, train_loss=math.inf, test_accuracy=1, test_cross_entropy=math.nan, lr=0, seconds=0)
    content = json.loads(format_epoch(record))
    assert content["train_loss"] is None
    assert content["nonfinite"] == ["train_loss", "test_cross_entropy"]


def test_no_line_is_longer_than_a_file_of_epochs_allows() -> None:
    number, digest = -1.2345678901234567e-300, "f" * 16
    longest = EpochRecord(
        epoch=100_000, train_loss=number, test_accuracy=number, test_cross_entropy=number, test_perplexity=number,
        lr=number, seconds=number, weights=digest, start=digest,
    )  # fmt: skip
    assert len(format_epoch(longest)) < MAX_LINE_BYTES


def test_torn_last_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path, line = tmp_path / "epochs.jsonl", format_epoch(RECORD)
    path.write_bytes(line + line[:20])
    first = read_epochs(path)
    assert (first.records, first.bad_lines, first.offset) == ((RECORD,), 0, len(line))
    path.write_bytes(line + line)
    second = read_epochs(path, offset=first.offset)
    assert (second.records, second.bad_lines, second.offset) == ((RECORD,), 0, 2 * len(line))


@pytest.mark.parametrize("damage", [b"\x00\x00\n", b"{}\n", b'{"epoch": "x"}\n', b"[]\n", b"\xff\n", b"12\n"])
def test_damaged_line_is_counted_and_skipped(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "epochs.jsonl"
    path.write_bytes(format_epoch(RECORD) + damage + format_epoch(RECORD))
    chunk = read_epochs(path)
    assert len(chunk.records) == 2
    assert chunk.bad_lines == 1


def test_absent_file_has_no_epochs(tmp_path: Path) -> None:
    assert read_epochs(tmp_path / "no").records == ()


def test_full_disk_takes_back_the_part_of_a_line_that_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "epochs.jsonl", os.write
    append_epoch(path, RECORD)

    def write_half(descriptor: int, content: Any) -> int:
        return write(descriptor, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(StoreFullError):
        append_epoch(path, RECORD)
    monkeypatch.undo()
    append_epoch(path, RECORD)
    chunk = read_epochs(path)
    assert len(chunk.records) == 2
    assert chunk.bad_lines == 0
