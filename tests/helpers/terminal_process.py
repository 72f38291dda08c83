"""The app in a real pseudo-terminal: bytes in, bytes out, signals."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tui

COMMAND = [sys.executable, "-P", "-c", "import sys, tui.cli; sys.exit(tui.cli.main())"]
BASE = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "LC_ALL": "C.UTF-8",
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(Path(tui.__file__).parents[1]),  # the checkout that is tested, wherever another is installed
}


class AppProcess:
    """A child on a terminal of its own; use as a context."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        size: tuple[int, int] = (80, 24),
        below: Sequence[str] = (),
        command: Sequence[str] = COMMAND,
        **environment: str,
    ) -> None:
        """Start it, where wished below another command or as another one; `environment` is added to what is set."""
        variables = BASE | {"HOME": str(folder), "NONDET_LEASES": str(folder / "leases")} | environment
        self.started = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            whole = [*below, *command, *arguments]
            os.execve(whole[0], whole, variables)
        self.resize(*size)
        self.output = b""
        self.status: int | None = None

    def __enter__(self) -> AppProcess:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Never leave a child behind."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.hang_up()

    def hang_up(self) -> None:
        """The terminal goes away."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def poll(self) -> int | None:
        """The exit status, once there is one; negative for signals."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def read(self, seconds: float) -> bytes:
        """What comes within some time."""
        end, found = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    part = os.read(self.fd, 65536)
                except OSError:
                    break
                if not part:
                    break
                found += part
        self.output += found
        return found

    def wait_for(self, what: bytes | Callable[[], bool], timeout_s: float = 20.0) -> float:
        """Read until something has been shown, or holds; returns when, in seconds from the start."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if what in self.output if isinstance(what, bytes) else what():
                return time.monotonic() - self.started
            self.read(0.02)
        raise AssertionError(f"{what!r} did not come within {timeout_s} s; the end: {self.output[-600:]!r}")
