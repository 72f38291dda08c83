"""Leases: one holder, released by the kernel when it ends however it ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.dispatch.leases import UNKNOWN, Holder, Lease, describe_holder, find_lease_folder
from engine.errors import NondetError
from engine.study.paths import StudyPaths

A, B = Holder(study="a", pid=1), Holder(study="b", pid=2)

HOLD = """
import sys, time
from engine.dispatch.leases import Holder, Lease
assert Lease("slot").acquire(Holder(study="other", pid=1))
print("held", flush=True)
time.sleep(60)
"""


def test_one_holder_at_a_time() -> None:
    one, other = Lease("slot"), Lease("slot")
    assert one.acquire(A)
    assert one.acquire(A), "whoever holds it may ask again"
    assert not other.acquire(B)
    assert other.read_holder() == A
    one.release()
    assert other.read_holder() is None
    assert other.acquire(B)
    other.release()


def test_slots_do_not_hinder_each_other() -> None:
    one, other = Lease("cpu-0"), Lease("cpu-1")
    assert one.acquire(A)
    assert other.acquire(A)
    one.release()
    other.release()


def test_killed_holder_gives_it_back() -> None:
    child = subprocess.Popen([sys.executable, "-P", "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    lease = Lease("slot")
    assert not lease.acquire(A)
    assert lease.read_holder() == Holder(study="other", pid=1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert lease.acquire(A)
    lease.release()


def test_folder_is_the_users_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NONDET_LEASES")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = find_lease_folder()
    assert folder == tmp_path / f"nondet-tui-leases-{os.geteuid()}"
    lease = Lease("slot")
    assert lease.acquire(A)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(lease.path.stat().st_mode) == 0o600
    lease.release()
    for unusable in (None, "", "relative", str(tmp_path / "nothing"), "/dev/full"):
        monkeypatch.setenv("TMPDIR", unusable) if unusable is not None else monkeypatch.delenv("TMPDIR")
        assert find_lease_folder().parent == Path("/tmp")


def refuse(reason: str) -> None:
    with pytest.raises(NondetError, match=reason) as caught:
        Lease("slot").acquire(A)
    assert "NONDET_LEASES" in str(caught.value), "what to do"
    assert Lease("slot").read_holder() is None


def test_folder_that_others_may_write_in_is_refused() -> None:
    folder = find_lease_folder()
    folder.mkdir()
    folder.chmod(0o770)
    refuse("others may write in it: `chmod 700")


def test_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    find_lease_folder().mkdir(mode=0o700)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    refuse(f"belongs to user {me}")


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_folder_that_is_none_is_refused(tmp_path: Path, kind: str) -> None:
    folder = find_lease_folder()
    if kind == "file":
        folder.write_text("")
    else:
        folder.symlink_to(tmp_path / ("nothing" if kind == "dangling" else "."))
    before = sorted(tmp_path.iterdir())
    refuse("must be a folder of your own")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["hard link", "fifo", "folder"])
def test_lease_that_is_no_file_of_its_own_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    folder, victim = find_lease_folder(), tmp_path / "victim"
    folder.mkdir(mode=0o700)
    victim.write_text("precious")
    path = folder / "slot.lock"
    if kind == "hard link":
        path.hardlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    refuse("cannot be opened" if kind == "folder" else "is no lease")
    assert victim.read_text() == "precious"


def test_lease_holds_on_a_full_disk_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_to_write(*_: object) -> int:
        raise OSError(28, "No space left on device")

    lease = Lease("slot")
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse_to_write)
        assert lease.acquire(A)
    assert not Lease("slot").acquire(B)
    assert Lease("slot").read_holder() == UNKNOWN
    lease.release()


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    find_lease_folder().mkdir(mode=0o700)
    (find_lease_folder() / "slot.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(NondetError, match="NONDET_LEASES"):
        Lease("slot").acquire(A)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff{", b"[]", b'{"study": "a"}', b'{"study": "a", "pid": "b"}', b"[" * 4000]
)
def test_damaged_holder_is_nobody(content: bytes) -> None:
    lease = Lease("slot")
    assert lease.acquire(A)
    lease.path.write_bytes(content)
    assert Lease("slot").read_holder() == UNKNOWN
    lease.release()


def test_holder_is_shown_whatever_its_folder_is_called(tmp_path: Path) -> None:
    holder = describe_holder(StudyPaths(tmp_path / os.fsdecode(b"caf\xe9")))
    lease = Lease("slot")
    assert lease.acquire(holder)
    assert Lease("slot").read_holder() == holder == Holder(study="caf\udce9", pid=os.getpid())
    lease.release()


def test_relative_lease_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NONDET_LEASES", "leases")
    with pytest.raises(NondetError, match=f"absolute path: write {tmp_path}/leases"):
        Lease("slot")
