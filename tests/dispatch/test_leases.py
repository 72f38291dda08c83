"""Leases: one holder, released by the kernel when it ends however it ends."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.dispatch.leases import Lease, find_lease_folder
from engine.errors import NondetError

HOLD = """
import sys, time
from engine.dispatch.leases import Lease
assert Lease("slot").acquire({"study": "other", "pid": 1})
print("held", flush=True)
time.sleep(60)
"""


def test_one_holder_at_a_time() -> None:
    one, other = Lease("slot"), Lease("slot")
    assert one.acquire({"study": "a"})
    assert one.acquire({"study": "a"}), "whoever holds it may ask again"
    assert not other.acquire({"study": "b"})
    assert other.read_holder() == {"study": "a"}
    one.release()
    assert other.read_holder() == {}
    assert other.acquire({"study": "b"})
    other.release()


def test_slots_do_not_hinder_each_other() -> None:
    one, other = Lease("cpu-0"), Lease("cpu-1")
    assert one.acquire({})
    assert other.acquire({})
    one.release()
    other.release()


def test_killed_holder_gives_it_back() -> None:
    child = subprocess.Popen([sys.executable, "-P", "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    lease = Lease("slot")
    assert not lease.acquire({})
    assert lease.read_holder() == {"study": "other", "pid": 1}
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert lease.acquire({})
    lease.release()


def test_all_users_of_the_machine_share_the_folder() -> None:
    lease = Lease("slot")
    assert lease.acquire({})
    folder = find_lease_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert stat.S_IMODE(lease.path.stat().st_mode) == 0o666
    lease.release()


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    find_lease_folder().mkdir(parents=True)
    (find_lease_folder() / "slot.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(NondetError, match="NONDET_LEASES"):
        Lease("slot").acquire({})
    assert not (tmp_path / "victim").exists()


def test_damaged_holder_is_nobody() -> None:
    lease = Lease("slot")
    assert lease.acquire({})
    lease.path.write_bytes(b"\xff{")
    assert Lease("slot").read_holder() == {}
    lease.release()


def test_relative_lease_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NONDET_LEASES", "leases")
    with pytest.raises(NondetError, match=f"absolute path: write {tmp_path}/leases"):
        Lease("slot")
