"""What a worker started and left behind ends with it, in a session of its own too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from engine.dispatch.devices import make_slots
from engine.dispatch.executors.local import LocalWorker
from engine.dispatch.leftovers import VARIABLE, end_leftovers, make_mark
from engine.dispatch.watching import JobWatch
from engine.study.processes import read_cpu_s

DAEMON = """
import os, sys, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.write(writer, str(os.getpid()).encode())
    time.sleep(1000)
os.wait()
print(os.read(reader, 20).decode(), flush=True)
time.sleep(1000)
"""


def start(code: str, mark: str) -> subprocess.Popen[bytes]:
    environment = dict(os.environ) | {VARIABLE: mark}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, env=environment
    )


def is_there(pid: int) -> bool:
    return read_cpu_s(pid) is not None


def test_daemon_of_a_killed_worker_ends_with_it_and_that_of_another_stays() -> None:
    marks = make_mark(), make_mark()
    workers = [start(DAEMON, mark) for mark in marks]
    daemons = [int(worker.stdout.readline()) for worker in workers if worker.stdout is not None]
    (slot,) = make_slots(("cpu",), 1)
    watched = LocalWorker(workers[0], slot, JobWatch(workers[0].pid, 0.0), marks[0])
    assert watched.poll() is None
    assert all(map(is_there, daemons))
    workers[0].send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20.0
    while watched.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    while is_there(daemons[0]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [is_there(daemon) for daemon in daemons] == [False, True]
    assert end_leftovers(marks[1]) == 2, "its worker and its daemon"
    workers[1].wait()
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.close()


def test_nobody_has_a_new_mark() -> None:
    assert end_leftovers(make_mark()) == 0
