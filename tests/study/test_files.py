"""Files appear whole or not at all, and refusals of the file system say what to do."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import StoreForbiddenError, StoreFullError, StoreUnavailableError, StudyError
from engine.study.files import create_file, describe_obstacle, explain_write_errors, make_folder, write_bytes
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
        (errno.EROFS, StoreForbiddenError, "--store"),
        (errno.EACCES, StoreForbiddenError, "--store"),
        (errno.EIO, StoreUnavailableError, "check the disk or the server"),
        (errno.ESTALE, StoreUnavailableError, "check the disk or the server"),
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
    monkeypatch.setattr("engine.study.files.RETRY_S", 0.0)
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


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the next writes to the disk fail with these errors, one after the other; a second lasts no time."""
    numbers: list[int] = []
    sync, now = os.fsync, [0.0]

    def fail(descriptor: int) -> None:
        if numbers:
            number = numbers.pop(0)
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    def wait(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr("engine.study.files.time.sleep", wait)
    monkeypatch.setattr("engine.study.files.time.monotonic", lambda: now[0])
    return numbers


def test_error_that_passes_costs_nothing(tmp_path: Path, failing: list[int]) -> None:
    failing += [errno.EIO, errno.ESTALE, errno.EIO]
    write_bytes(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    failing += [errno.EIO, errno.ETIMEDOUT]
    assert create_file(tmp_path / "b.bin", b"first")
    assert not create_file(tmp_path / "b.bin", b"second")
    assert (tmp_path / "b.bin").read_bytes() == b"first"
    assert sorted(path.name for path in tmp_path.glob("*.bin")) == ["a.bin", "b.bin"]
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_error_that_stays_is_told_after_a_while_and_blames_no_run(
    number: int, tmp_path: Path, failing: list[int]
) -> None:
    write_bytes(tmp_path / "a.bin", b"old")
    for write in (write_bytes, create_file):
        failing[:] = [number] * 1000
        name = "a.bin" if write is write_bytes else "b.bin"
        with pytest.raises(StoreUnavailableError, match=r"cannot be written now .* run the same command again"):
            write(tmp_path / name, b"new")
        assert 5 < 1000 - len(failing) < 50
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.bin"]


def test_folder_where_none_can_be_is_refused() -> None:
    with pytest.raises(StudyError, match="choose another --store"):
        make_folder(Path("/proc/nothing/store"))


def test_folder_that_is_away_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "for a while (no room, a quota" in describe_obstacle(tmp_path), "nothing is wrong any more"
    room = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=0, f_frsize=room.f_frsize, f_favail=1))
    assert "no room left" in describe_obstacle(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "give the permission back" in describe_obstacle(tmp_path)


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


def test_writers_with_equal_numbers_share_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in two containers: in the middle of one write another process of the same number writes the same file."""
    file, others, sync = tmp_path / "x.json", [], os.fsync

    def write_second(descriptor: int) -> None:
        if not others:
            others.append(descriptor)
            write_bytes(file, b"other")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", write_second)
    write_bytes(file, b"own")
    assert file.read_bytes() == b"own"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
