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
from engine.dispatch.leases import UNKNOWN, Holder, Lease
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


def test_all_users_of_the_machine_share_the_folder() -> None:
    lease = Lease("slot")
    assert lease.acquire(A)
    folder = find_lease_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert stat.S_IMODE(lease.path.stat().st_mode) == 0o666
    lease.release()


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    find_lease_folder().mkdir(parents=True)
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
