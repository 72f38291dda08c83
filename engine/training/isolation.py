"""A process of its own for each run: what a user's code leaves behind in one never reaches another.

A user's module may keep a cache, a counter or a default type. The worker therefore never imports it: it has torch
imported, makes a copy of itself (fork) for each run or pack, and waits. A copy costs milliseconds where a new process
would import torch for seconds; it is made before any thread or CUDA context exists, which no copy could use.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from engine.study.processes import end_with_parent, list_children

EXIT_NOTHING_LEFT = 75
"""A copy's exit status when it found no run to claim."""


ENDED_OTHERWISE = 1
"""A worker's exit status when its copy ended before it had claimed a run."""

PR_SET_CHILD_SUBREAPER = 36
"""A constant of <linux/prctl.h>: orphans of this process's descendants become its children."""

MOST_ROUNDS = 100
"""How often children are looked for; those that start new ones as fast as they are killed are left."""

NoteEnd = Callable[[int, int], bool]
"""Is told the number and the exit status of a copy, below 0 for a signal; says whether it had claimed a run."""


@dataclass
class Copies:
    """Makes copies of the worker, at most one at a time."""

    pid: int | None = None
    terminated: bool = False

    def terminate(self, number: int, frame: object) -> None:
        """Hand SIGTERM on to the copy, which may not be in reach of whoever sent it; a signal handler."""
        self.terminated = True
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):  # the copy has ended in the meantime
                os.kill(self.pid, signal.SIGTERM)

    def run(self, train_one: Callable[[], int], note_end: NoteEnd) -> int:
        """Fork this process, and let the copy train one run or pack; what it leaves running is killed.

        Returns:
            What `train_one` returned, told through a pipe; where a user's code ended the process, or a signal did,
            what `note_end` says.
        """
        reading, writing = os.pipe()
        # SIGTERM is blocked until the id of the copy is known: before that, a signal would not reach the copy.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        worker = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _be_copy(train_one, worker, writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        copy = self.pid
        status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        self.pid = None
        kill_children()
        os.close(writing)
        said = _read_now(reading)
        os.close(reading)
        if said:
            return said[0]
        return 0 if note_end(copy, status) else ENDED_OTHERWISE


def adopt_orphans() -> None:
    """Ask the kernel to make this process the parent of all that copies leave behind, however well that hides."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def kill_children() -> None:
    """Kill all children of this process, and their children as these become ours, which may go on for some rounds."""
    for _ in range(MOST_ROUNDS):
        children = list_children(os.getpid())
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _read_now(reading: int) -> bytes:
    """Read what a pipe holds; a process that the user's code left behind may keep it open for ever."""
    os.set_blocking(reading, False)
    try:
        return os.read(reading, 1)
    except BlockingIOError:
        return b""


def _be_copy(train_one: Callable[[], int], worker: int, writing: int) -> None:
    """Train, and end without what the worker would do at its end; end with the worker, however that ends.

    A copy that outlived its worker would hold the slot where nobody can end it, were the user's code to hang.
    """
    status = 1
    try:
        end_with_parent()
        if os.getppid() == worker:  # otherwise the worker ended before the copy could ask for the signal
            status = train_one()
            os.write(writing, bytes([status]))
    except BaseException:  # the copy ends here, whatever a user's code raised
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def train_apart(train_one: Callable[[], int], note_end: NoteEnd) -> int:
    """Train run after run, each in a copy of this process, until nothing is left or the end is asked for.

    Args:
        train_one: Claims and trains one run or pack; 0 where there may be more, EXIT_NOTHING_LEFT where there is not.
            It unblocks SIGTERM as soon as it handles it.
        note_end: Records the end of a copy that did not say how it ended.

    Returns:
        The worker's exit status.
    """
    copies = Copies()
    adopt_orphans()
    signal.signal(signal.SIGTERM, copies.terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while not copies.terminated:
        status = copies.run(train_one, note_end)
        if status == EXIT_NOTHING_LEFT:
            return 0
        if status != 0:
            return status
    return 0
