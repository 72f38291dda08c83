"""What other users do on the machine is seen by what they do, not by locks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator

import pytest

from engine.dispatch import neighbours
from engine.dispatch.neighbours import count_busy_cores, describe_busy_cores, find_user, name_users

MINE = os.getuid()


@pytest.fixture
def busy() -> Generator[subprocess.Popen[bytes]]:
    """A process that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def be_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the machine as a user would who has no process."""
    monkeypatch.setattr(neighbours.os, "getuid", lambda: MINE + 12345)


def test_only_other_users_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_user(os.getpid()) is None
    assert find_user(2**22 + 1) is None, "there is no such process"
    be_somebody_else(monkeypatch)
    me = neighbours.pwd.getpwuid(MINE).pw_name
    assert name_users([os.getpid(), os.getpid(), 2**22 + 1]) == (me,)

    def nobody(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr(neighbours.pwd, "getpwuid", nobody)
    assert find_user(os.getpid()) == f"user {MINE}"


@pytest.mark.slow
def test_cores_of_others_are_counted(monkeypatch: pytest.MonkeyPatch, busy: subprocess.Popen[bytes]) -> None:
    own = count_busy_cores(0.5)
    be_somebody_else(monkeypatch)
    time.sleep(0.1)
    assert count_busy_cores(0.5) > own
    assert busy.poll() is None


def test_busy_cores_are_told_where_they_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours.os, "getloadavg", lambda: (3.0, 3.0, 3.0))
    monkeypatch.setattr(neighbours, "count_busy_cores", lambda: 0.4)
    assert describe_busy_cores(2) is None
    monkeypatch.setattr(neighbours, "count_busy_cores", lambda: 1.7)
    said = describe_busy_cores(2)
    assert said is not None
    assert said.startswith("other users' programs keep 1.7 cores of this machine busy, where 2 would train")
    monkeypatch.setattr(neighbours.os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    assert describe_busy_cores(2) is None, "an idle machine is not looked at for long"
