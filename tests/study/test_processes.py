"""Processes are told by host, boot, pid namespace, number and start: none is signalled that only has the number."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.study import processes
from engine.study.processes import Owner, current_owner, end_process, is_alive


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def identify(pid: int) -> Owner:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return replace(current_owner(), pid=pid, start_ticks=int(stat.rpartition(")")[2].split()[19]))


@pytest.mark.parametrize("field", ["host", "boot_id", "pid_namespace", "start_ticks"])
def test_process_that_only_has_the_number_is_not_signalled(sleeper: subprocess.Popen[bytes], field: str) -> None:
    owner = identify(sleeper.pid)
    assert is_alive(owner) is True
    other = replace(owner, **{field: 1 if field == "start_ticks" else "another"})
    assert not end_process(other)
    assert not end_process(other, at_once=True)
    assert sleeper.poll() is None
    assert end_process(owner)
    assert sleeper.wait(timeout=20) == -signal.SIGTERM
    assert is_alive(owner) is False


def test_hidden_process_is_not_signalled(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    owner = identify(sleeper.pid)
    monkeypatch.setattr(processes, "is_alive", lambda owner: None)
    assert not end_process(owner, at_once=True)
    assert sleeper.poll() is None
