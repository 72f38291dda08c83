"""A log that grows without end keeps its beginning and its end, and says what is missing."""

from __future__ import annotations

import re
from pathlib import Path

from engine.study.logs import (
    HEAD_BYTES,
    LOG_BYTES,
    SHOWN_HEAD_BYTES,
    SHOWN_TAIL_BYTES,
    TAIL_BYTES,
    BoundedLog,
    read_shown,
)

LINE = 100


def append(file: Path, first: int, last: int) -> None:
    with file.open("ab") as log:
        log.writelines(b"%098d\n\n" % number for number in range(first, last))


def test_log_keeps_its_beginning_and_its_end_and_counts_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    log, lines, step = BoundedLog(file), 0, LOG_BYTES // LINE // 3
    log.bound()
    assert not file.exists()
    for _ in range(10):
        append(file, lines, lines + step)
        lines += step
        log.bound()
        assert file.stat().st_size <= LOG_BYTES
    content = file.read_bytes()
    whole = b"".join(b"%098d\n\n" % number for number in range(lines))
    assert content[:HEAD_BYTES] == whole[:HEAD_BYTES]
    assert content[-TAIL_BYTES:] == whole[-TAIL_BYTES:]
    marks = re.findall(rb"\n\[\xe2\x80\xa6 (\d+) bytes were taken out here[^\n]*\]\n", content)
    assert len(marks) == 1
    mark = re.search(rb"\n\[\xe2\x80\xa6 \d+ bytes[^\n]*\]\n", content)
    assert mark is not None
    assert int(marks[0]) == len(whole) - (len(content) - len(mark[0]))


def test_log_within_the_bound_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(b"x" * LOG_BYTES)
    before = file.stat().st_mtime_ns
    BoundedLog(file).bound()
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (LOG_BYTES, before)


def test_long_log_is_shown_with_its_beginning_and_its_end(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(b"first line\n" + b"x" * 50)
    assert read_shown(file) == "first line\n" + "x" * 50
    with file.open("ab") as log:
        log.truncate(100_000_000)
        log.write(b"\nlast line")
    shown = read_shown(file)
    assert shown.startswith("first line\n")
    assert shown.endswith("\nlast line")
    assert f"{100_000_010 - SHOWN_HEAD_BYTES - SHOWN_TAIL_BYTES} bytes of" in shown
    assert len(shown) < SHOWN_HEAD_BYTES + SHOWN_TAIL_BYTES + 200
