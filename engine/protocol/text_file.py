"""Reads a text file that a user names: only a regular one, of bounded size, in UTF-8."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
"""What a path may name that is no regular file: reading one may wait, or go on, for ever."""

MARKS = {codecs.BOM_UTF8: "UTF-8", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
"""The byte order marks that editors put in front of a text, and what they announce."""


class UnreadableError(Exception):
    """Says why there is no text; whoever catches it adds the file."""

    def __init__(self, problem: str, remedy: str) -> None:
        """Keep the problem, as the end of a sentence about the file ("is a folder"), and what to do about it."""
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def read_text_file(path: Path, *, limit: int) -> str:
    """Return the text of a regular file of at most `limit` bytes.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        UnreadableError: If it cannot be read for any other reason.
    """
    try:
        refuse_special(path.stat().st_mode)
        # Without waiting, because the file may have become a pipe since it was looked at.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            refuse_special(os.fstat(descriptor).st_mode)
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", "check the path and its permissions") from None
    except ValueError as error:
        raise UnreadableError(f"cannot be read: {error}", "check the path") from None
    if len(content) > limit:
        raise UnreadableError(f"is larger than {limit:,} bytes", "give a smaller one")
    return decode_text(content)


def refuse_special(mode: int) -> None:
    """Refuse everything but a regular file.

    Raises:
        UnreadableError: That says what it is instead.
    """
    if not stat.S_ISREG(mode):
        kind = next((kind for asks, kind in KINDS if asks(mode)), "no file")
        raise UnreadableError(f"is {kind}", "only regular files are read: write it into one, and give that")


def decode_text(content: bytes) -> str:
    """Return bytes as the UTF-8 text that they are.

    Raises:
        UnreadableError: If they are another encoding, or begin with a byte order mark.
    """
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            problem = f"begins with a byte order mark (BOM) of {encoding}"
            raise UnreadableError(problem, "save the file as UTF-8 without BOM")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text (byte {error.start})", "save the file as UTF-8") from None
