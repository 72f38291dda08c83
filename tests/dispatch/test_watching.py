"""Jobs that do nothing are named and ended, with what they started; what they leave behind keeps nobody waiting."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from engine.dispatch import watching
from engine.dispatch.executors.local import LocalJob, attend
from engine.dispatch.watching import JobWatch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.1)


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def test_job_that_waits_for_ever_is_ended_and_says_so() -> None:
    process = start("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)'])")
    output = attend(process, JobWatch(process.pid, 2.0), "")
    assert output.status == -signal.SIGKILL
    assert "set [dispatch] stall_s" in output.errors


def test_answer_is_whole_although_a_child_keeps_the_pipe_open() -> None:
    process = start("import os, time\nprint('answer', flush=True)\nif os.fork() == 0: time.sleep(1000)")
    started = time.monotonic()
    output = attend(process, JobWatch(process.pid, 60.0), "")
    assert (output.status, output.text) == (0, "answer\n")
    assert time.monotonic() - started < 30.0


def test_halted_job_is_named_at_once_and_ended() -> None:
    process = start("while True: pass")
    process.send_signal(signal.SIGSTOP)
    job = LocalJob(process, JobWatch(process.pid, 2.0))
    time.sleep(0.3)
    while not job.obstacle:
        time.sleep(0.05)
    assert "is halted by a signal" in job.obstacle
    deadline = time.monotonic() + 20.0
    while job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job.poll() == -signal.SIGKILL
    process.communicate()
