"""One run of a user's program: started through its keeper, followed, and ended on request or on time-out."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.dispatch.children import command
from engine.study.epochs import EpochRecord
from engine.study.files import explain_write_errors
from engine.study.logs import LOG_BYTES, BoundedLog
from engine.study.opening import open_to_append, read_tail
from engine.study.processes import Usage, read_group_usage
from engine.training.commands.keeper import CUT, END, GO_ON, HALT
from engine.training.commands.reports import Reports
from engine.training.isolation import kill_children

LOOK_S = 0.1
"""How often a program is looked at."""

USAGE_S = 2.0
"""How often it is asked whether the program has done anything."""

SHOWN_LINE = 300


@dataclass(frozen=True)
class Ended:
    """Says how a program ended."""

    status: int | None
    """Its exit status, below 0 for a signal; None where it could not be started, or nobody knows."""
    reason: str = ""
    """Why it could not be started, or was ended."""
    asked: bool = False
    """Whether its end was asked for."""
    timed_out: bool = False
    untold: bool = False
    """Whether its keeper was killed, so that nobody knows how it ended."""


@dataclass
class Asked:
    """Says what is asked of a program now; see `Program.follow`."""

    end: bool = False
    halt: bool = False
    cut: bool = False
    """Whether it is to be killed without warning, as a test of what it does then."""


@dataclass
class Program:
    """Holds a started program."""

    keeper: subprocess.Popen[bytes]
    log: Path
    reports: Reports
    on_epoch: Callable[[EpochRecord], None]
    move: Callable[[], None]
    """Called when the program has done something."""
    pid: int | None = None
    said: bytes = b""
    halted: bool = False
    usage: Usage = field(default_factory=Usage)
    looked: float = -1e9
    size: int = -1
    look_s: float = LOOK_S

    def follow(self, look: Callable[[], Asked], timeout_s: float) -> Ended:
        """Wait for the program's end.

        Args:
            look: Says what is asked of it.
            timeout_s: Seconds after which it is ended, time in which it was halted not counted; 0 for never.
        """
        bounded, spent_s, last = BoundedLog(self.log), 0.0, time.monotonic()
        asked = timed_out = False
        while self.keeper.poll() is None and not self._has_ended():
            self._wait()
            self._read_epochs()
            if _size_of(self.log) > LOG_BYTES:
                bounded.bound()
            now = time.monotonic()
            spent_s, last = spent_s + (0.0 if self.halted else now - last), now
            self._note_work(now)
            wanted = look()
            if wanted.halt != self.halted and not asked:
                self.halted = wanted.halt
                self._tell(HALT if wanted.halt else GO_ON)
            timed_out = timed_out or (0 < timeout_s <= spent_s and not asked)
            if wanted.cut:
                self._tell(CUT)
            if (wanted.end or timed_out) and not asked:
                asked = True
                self._tell(END)
        self._wait()
        self._read_epochs()
        bounded.bound()
        ended = _parse_end(self.said)
        if timed_out:
            reason = f"it was ended after command.timeout_s = {timeout_s:g} s"
            return replace(ended, reason=reason, timed_out=True, untold=False)
        return replace(ended, asked=asked)

    def close(self) -> None:
        """Leave nothing of the program behind."""
        for pipe in (self.keeper.stdin, self.keeper.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self.keeper.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()
        kill_children()  # what a killed keeper has left

    def _has_ended(self) -> bool:
        return b"\nexit " in self.said or b"fault " in self.said[:6]

    def _wait(self) -> None:
        """Wait a moment for what the keeper says, and take it."""
        assert self.keeper.stdout is not None, "it is a pipe"
        descriptor = self.keeper.stdout.fileno()
        if select.select([descriptor], [], [], self.look_s)[0]:
            content = os.read(descriptor, 4096)
            self.said += content
            if not content:
                time.sleep(self.look_s)  # its end: the keeper is about to be gone
        if self.pid is None and self.said.startswith(b"pid ") and b"\n" in self.said:
            self.pid = int(self.said[4 : self.said.index(b"\n")])

    def _read_epochs(self) -> None:
        for record in self.reports.read_new():
            self.on_epoch(record)
            self.move()

    def _note_work(self, now: float) -> None:
        """Count a step where the program has computed, read, written or printed since the last look."""
        if self.pid is None or now - self.looked < USAGE_S:
            return
        usage, size = read_group_usage(self.pid), _size_of(self.log)
        if self.halted or (usage.cpu_s, usage.moved_bytes, size) != (
            self.usage.cpu_s,
            self.usage.moved_bytes,
            self.size,
        ):
            self.move()
        self.usage, self.size, self.looked = usage, size, now

    def _tell(self, request: bytes) -> None:
        if self.keeper.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self.keeper.stdin.fileno(), request)


def start_program(
    words: Sequence[str],
    *,
    folder: str,
    environment: Mapping[str, str],
    log: Path,
    reports: Reports,
    on_epoch: Callable[[EpochRecord], None],
    move: Callable[[], None],
    look_s: float = LOOK_S,
) -> Program:
    """Start a program through its keeper.

    Args:
        words: Its command line.
        folder: Where it is started.
        environment: All of its environment.
        log: Takes what it prints.
        reports: Reads what it says in its {out}.
        on_epoch: Called with every epoch that it reports.
        move: Called when it has done something.
        look_s: How often it is looked at.
    """
    with explain_write_errors(log):
        descriptor = open_to_append(log)
    try:
        keeper = subprocess.Popen(
            command("engine.training.commands.keeper", folder, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            start_new_session=True,
            bufsize=0,
        )
    finally:
        os.close(descriptor)
    assert keeper.stdin is not None, "it is a pipe"
    with contextlib.suppress(BrokenPipeError):  # it was killed at once: following it says so
        keeper.stdin.write(json.dumps(dict(environment)).encode() + b"\n")
    return Program(keeper, log, reports, on_epoch, move, look_s=look_s)


def _parse_end(said: bytes) -> Ended:
    """Return how a program ended as far as its keeper has told."""
    for line in said.decode(errors="replace").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "exit":
            return Ended(int(rest))
        if kind == "fault":
            return Ended(None, rest)
    return Ended(None, "its keeper was killed", untold=True)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_last_line(log: Path) -> str:
    """Return the last line that a program has printed, which mostly says what was wrong; empty where there is none."""
    try:
        end, _ = read_tail(log, 20_000)
    except OSError:
        return ""
    lines = [line.strip() for line in end.decode(errors="replace").splitlines() if line.strip()]
    return "" if not lines else "".join(c for c in lines[-1] if c.isprintable())[:SHOWN_LINE]
