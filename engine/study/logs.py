"""Logs of bounded size: of what is printed, the beginning and the end are kept, and the log says what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.study.opening import open_regular, read_exactly

LOG_BYTES = 10_000_000
"""The size of a log above which its middle is taken out."""

HEAD_BYTES, TAIL_BYTES = 2_000_000, 6_000_000
"""What is kept then of its beginning and of its end."""

SHOWN_HEAD_BYTES, SHOWN_TAIL_BYTES = 500_000, 1_500_000
"""What a viewer shows of the beginning and of the end of a file that is longer."""


def read_shown(path: Path) -> str:
    """Return a file's text, of a long one the beginning and the end, with a line between that says so.

    Raises:
        OSError: If the file cannot be read.
    """
    with open_regular(path) as (descriptor, status):
        if status.st_size <= SHOWN_HEAD_BYTES + SHOWN_TAIL_BYTES:
            return read_exactly(descriptor, SHOWN_HEAD_BYTES + SHOWN_TAIL_BYTES).decode(errors="replace")
        head = read_exactly(descriptor, SHOWN_HEAD_BYTES)
        os.lseek(descriptor, status.st_size - SHOWN_TAIL_BYTES, os.SEEK_SET)
        tail = read_exactly(descriptor, SHOWN_TAIL_BYTES)
    left_out = status.st_size - SHOWN_HEAD_BYTES - SHOWN_TAIL_BYTES
    mark = f"\n[… {left_out} bytes of {path} are not shown here …]\n"
    return head.decode(errors="replace") + mark + tail.decode(errors="replace")


@dataclass
class BoundedLog:
    """Keeps one file, to which others append, from growing without end; see `bound`."""

    path: Path
    dropped: int = 0
    """Bytes that were taken out so far."""
    marked: int = 0
    """The length of the line that says so."""

    def bound(self) -> None:
        """Take out the middle where the file has become too large.

        What is appended in the same moment may be lost with it. A file that cannot be read or written stays as it is.
        """
        try:
            if self.path.stat().st_size > LOG_BYTES:
                self._cut()
        except OSError:
            return

    def _cut(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(descriptor).st_size
            self.dropped += size - TAIL_BYTES - HEAD_BYTES - self.marked
            mark = f"\n[… {self.dropped} bytes were taken out here: a log keeps its beginning and its end …]\n".encode()
            kept = mark + os.pread(descriptor, TAIL_BYTES, size - TAIL_BYTES)
            os.ftruncate(descriptor, HEAD_BYTES)
            os.pwrite(descriptor, kept, HEAD_BYTES)
            self.marked = len(mark)
        finally:
            os.close(descriptor)
