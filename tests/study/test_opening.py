"""Files of a study that come from others: what is no regular file, leads elsewhere or is too large is refused."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import StudyError
from engine.study.epochs import append_epoch, read_epochs
from engine.study.opening import find_obstacle, is_regular, is_there, open_to_append, read_regular, read_tail
from engine.study.paths import RunPaths
from engine.study.records import MEGABYTE, Damage, decode_record, read_record
from engine.study.run_records import ExitRecord, write_exit
from engine.study.tensor_files import open_tensors
from tests.helpers.records import make_epoch

Make = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder, beside something that is not the study's."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "study" / "runs" / "r").mkdir(parents=True)
    (tmp_path / "study" / "plan.json").write_text("{}")
    return tmp_path / "study"


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


STRANGE: dict[str, tuple[Make, str]] = {
    "fifo": (os.mkfifo, "FIFO"),
    "socket": (make_socket, "socket"),
    "folder": (Path.mkdir, "folder"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "leads out"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "link to itself": (lambda path: path.symlink_to(path.name), "Too many levels"),
    "link out of the study": (lambda path: path.symlink_to("../../../secret"), "leads out"),
    "huge file": (make_sparse, r"1,099,511,627,776 bytes, and such a file at most 1,000,000"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_file_of_the_study_is_refused_at_once(folder: Path, kind: str) -> None:
    make, said = STRANGE[kind]
    path = folder / "runs" / "r" / "file"
    make(path)
    began = time.monotonic()
    with pytest.raises(OSError, match=said):
        read_regular(path, MEGABYTE)
    assert time.monotonic() - began < 10.0


@pytest.mark.parametrize("kind", sorted(set(STRANGE) - {"huge file"}))
def test_nothing_is_added_to_it_either(folder: Path, kind: str) -> None:
    path = folder / "runs" / "r" / "file"
    STRANGE[kind][0](path)
    with pytest.raises(OSError, match=r".+"):
        open_to_append(path)
    assert (folder.parent / "secret").read_text() == "secret"


def test_link_inside_the_study_is_followed_and_so_is_one_to_the_study(folder: Path) -> None:
    (folder / "labels").write_text("inside")
    link = folder / "runs" / "r" / "file"
    link.symlink_to("../../labels")
    assert read_regular(link, 10) == b"inside"
    study = folder.with_name("linked")
    study.symlink_to(folder)
    assert read_regular(study / "runs" / "r" / "file", 10) == b"inside"
    moved = folder.with_name("moved")
    folder.rename(moved)
    study.unlink()
    study.symlink_to(moved)
    assert read_regular(study / "runs" / "r" / "file", 10) == b"inside", "the link was resolved anew"


def test_folder_that_leads_out_of_the_study_is_refused_whatever_is_in_it(folder: Path) -> None:
    other = folder.with_name("other")
    (other / "attempts").mkdir(parents=True)
    (other / "plan.json").write_text("{}")
    (other / "file").write_text("of another study")
    (folder / "runs" / "linked").symlink_to(other)
    with pytest.raises(OSError, match="leads out"):
        read_regular(folder / "runs" / "linked" / "file", 100)


def test_device_is_refused() -> None:
    with pytest.raises(OSError, match="it is a device, not a regular file"):
        read_regular(Path("/dev/zero"), MEGABYTE)


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"a" * 1000 + b"end")
    assert read_tail(path, 5) == (b"aaend", 998)
    assert read_tail(path, 5000) == (b"a" * 1000 + b"end", 0)


@pytest.mark.parametrize("name", ["nul\0", "x" * 300])
def test_name_that_no_file_can_have_is_an_answer(tmp_path: Path, name: str) -> None:
    assert not is_regular(tmp_path / name)
    assert not is_there(tmp_path / name)
    assert find_obstacle(tmp_path / name)
    assert isinstance(read_record(tmp_path / name, ExitRecord), Damage)


def test_obstacle_is_named_and_absence_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_obstacle(tmp_path / "none") is None
    assert find_obstacle(tmp_path) is None

    def refuse(*_: object) -> object:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    assert find_obstacle(tmp_path / "secret") == "Permission denied"


@pytest.mark.parametrize("opened", [b"[", b'{"a":', b'{"v":1,"outcome":'])
def test_json_that_is_nested_too_deep_is_damage(opened: bytes) -> None:
    found = decode_record(opened * 200_000, ExitRecord)
    assert isinstance(found, str)
    assert "damaged" in found


def test_record_larger_than_its_kind_is_neither_read_nor_written(tmp_path: Path) -> None:
    path = tmp_path / "exit.json"
    path.write_bytes(b" " * (ExitRecord.max_bytes + 1))
    found = read_record(path, ExitRecord)
    assert isinstance(found, Damage)
    assert "at most 1,000,000" in found.reason
    with pytest.raises(StudyError, match="at most"):
        append_epoch(tmp_path / "epochs.jsonl", make_epoch(1, nonfinite=("x" * MEGABYTE,)))


def test_endless_reason_is_cut(tmp_path: Path) -> None:
    attempt = RunPaths(tmp_path).attempt(1)
    attempt.folder.mkdir(parents=True)
    write_exit(attempt, "failed", "fault", "x" * 3 * MEGABYTE)
    found = read_record(attempt.exit, ExitRecord)
    assert isinstance(found, ExitRecord)
    assert len(found.reason) < 11_000


def test_attempts_are_folders_of_canonical_numbers(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    for name in ("01", "02", "²", "٣", "3", "004", "-1", "1e3", ".claim-1-3", "100"):
        (run.attempts / name).mkdir(parents=True)
    assert [attempt.number for attempt in run.list_attempts()] == [1, 2, 100]


def test_loop_in_the_place_of_attempts_is_no_attempt(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    run.attempts.symlink_to("attempts")
    assert run.list_attempts() == []


def test_epoch_that_its_file_cannot_have_reached_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "epochs.jsonl"
    for epoch in (1, 2_000_000_000, 0, -1, 3):
        append_epoch(path, make_epoch(epoch))
    with path.open("ab") as file:
        file.write(b'{"v": 1, "epoch": ' + b"9" * 400 + b"}\n")
    chunk = read_epochs(path)
    assert [record.epoch for record in chunk.records] == [1, 3]
    assert chunk.bad_lines == 4


def test_huge_file_of_epochs_is_read_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "epochs.jsonl"
    append_epoch(path, make_epoch(1))
    with path.open("r+b") as file:
        file.truncate(2**40)
    began = time.monotonic()
    assert [record.epoch for record in read_epochs(path).records] == [1]
    assert time.monotonic() - began < 10.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no header"),
        (b"\0" * 100, "no header"),
        (b"\xff" * 100, "no header"),
        ((2).to_bytes(8, "little") + b"{}x", "its header asks for 10"),
        ((9).to_bytes(8, "little") + b"[[[[[[[[[", "header is damaged"),
        ((47).to_bytes(8, "little") + b'{"w":{"dtype":"F32","data_offsets":[0, 10000]}}', "asks for 10,055"),
    ],
)
def test_header_of_weights_is_compared_with_their_file(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(OSError, match=said), open_tensors(path, MEGABYTE):
        pass
