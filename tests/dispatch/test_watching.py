"""Jobs that do nothing are named and ended, with what they started; what they leave behind keeps nobody waiting."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.dispatch import watching
from engine.dispatch.devices import make_slots
from engine.dispatch.executors.local import LocalJob, LocalWorker, attend
from engine.dispatch.watching import JobWatch
from engine.study.beats import make_beat, write_beat


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_halted_job_is_named_at_once_and_ended() -> None:
    process = start("while True: pass")
    process.send_signal(signal.SIGSTOP)
    job = LocalJob(process, JobWatch(process.pid, 2.0), "mark")
    time.sleep(0.3)
    while not job.obstacle:
        time.sleep(0.05)
    assert "is halted by a signal" in job.obstacle
    deadline = time.monotonic() + 20.0
    while job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job.poll() == -signal.SIGKILL
    process.communicate()


@pytest.mark.slow
def test_job_whose_work_never_moves_on_is_ended_although_it_computes(tmp_path: Path) -> None:
    beat = tmp_path / "beat.json"
    write_beat(beat, make_beat(moved=time.monotonic() - 1000.0, steps=3, place="user's code, nets.py line 3"))
    process = start("while True: pass")
    job = LocalJob(process, JobWatch(process.pid, 1.0, beat), "mark")
    time.sleep(0.2)
    assert job.poll() is None, "the silence of an earlier process is not its own"
    deadline = time.monotonic() + 20.0
    while job.poll() is None and time.monotonic() < deadline:
        write_beat(beat, make_beat(moved=time.monotonic() - 1000.0, steps=3, place="user's code, nets.py line 3"))
        time.sleep(0.1)
    assert job.poll() == -signal.SIGKILL
    assert job.obstacle is not None
    assert "(user's code, nets.py line 3), and is ended after 1 s" in job.obstacle
    process.communicate()


@pytest.mark.slow
def test_worker_that_hangs_without_a_run_is_ended_and_one_with_a_run_is_judged_by_its_beats() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
    (slot,) = make_slots(("cpu",), 1)
    worker = LocalWorker(process, slot, JobWatch(process.pid, 0.8), "mark")
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        assert worker.end_silent([process.pid]) is None
        time.sleep(0.05)
    deadline = time.monotonic() + 20.0
    why = None
    while why is None and time.monotonic() < deadline:
        why = worker.end_silent([])
        time.sleep(0.05)
    assert why == f"process {process.pid} has given no sign for 0 s, and is ended after 1 s"
    assert process.wait() == -signal.SIGKILL
    assert worker.end_silent([process.pid]) is None, "the number of a process that has ended says nothing"
