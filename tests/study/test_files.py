"""Files appear whole or not at all, and refusals of the file system say what to do."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreFullError, StudyError
from engine.study.files import explain_write_errors, make_folder, write_bytes
from tests.helpers.json_files import read_json, write_json


def test_json_survives_writing_and_reading(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1.5, "y": None})
    assert read_json(tmp_path / "a.json") == {"x": 1.5, "y": None}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.json"]


def test_numbers_that_are_not_finite_are_refused_and_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"x": float("nan")})
    assert read_json(path) == {"x": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"null", b'{"a": 1'])
def test_damaged_json_reads_as_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "missing.json") is None
    assert read_json(tmp_path) is None


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, StoreFullError, "make room"),
        (errno.EDQUOT, StoreFullError, "make room"),
        (errno.EROFS, StudyError, "--store"),
        (errno.EACCES, StudyError, "--store"),
        (errno.EFBIG, StudyError, "ulimit -f unlimited"),
    ],
)
def test_refused_write_keeps_the_old_file_and_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], said: str
) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(kind, match=said) as caught:
        write_bytes(path, b"new" * 1000)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["a.bin"]


def test_store_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="choose another --store"):
        make_folder(tmp_path / "file" / "study")
    with pytest.raises(StudyError, match="choose another --store"):
        make_folder(tmp_path / ("n" * 300))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad"), explain_write_errors(tmp_path):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path, stop, seen = tmp_path / "a.json", threading.Event(), set()
    write_json(path, {"n": 0})

    def read() -> None:
        while not stop.is_set():
            content = read_json(path)
            seen.add(None if content is None else len(content["n"]) if content["n"] else 0)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(60):
        write_json(path, {"n": "x" * (i * 997 % 20_000 + 1)})
    stop.set()
    reader.join()
    assert None not in seen
