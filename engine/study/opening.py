"""Opens the files of a study folder, which may come from somebody else: regular files alone, and never too much of one.

A FIFO, a device, a socket or a folder in the place of a file is refused without waiting for it. So is a link that
leads out of the study folder, and a file larger than its kind may be. A refusal is an `OSError` like every other.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path

PLAN = "plan.json"
"""The file that makes a folder a study."""

DEPTH = 5
"""Folders between the deepest file of a study and the study's own folder, that one included."""

TAIL_BYTES = 1_000_000
"""How much of the end of a log is read."""

READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW

KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}

UNREADABLE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN}
"""Errors that say nothing about a file's content: another user, or another time, may read it."""


class RefusedFileError(OSError):
    """A file that is there and is not opened or not read."""

    def __init__(self, path: Path, reason: str) -> None:
        """Take the reason, as the middle of a sentence about the file: "it is a FIFO"."""
        super().__init__(errno.EINVAL, reason, str(path))


@contextlib.contextmanager
def open_regular(path: Path) -> Generator[tuple[int, os.stat_result]]:
    """Open a regular file of a study to read it, and close it at the end.

    Returns:
        Its descriptor and its status.

    Raises:
        OSError: If it is not there, cannot be read, or is refused.
    """
    descriptor = _open(path, READING)
    try:
        yield descriptor, _check(descriptor, path)
    finally:
        os.close(descriptor)


def open_to_append(path: Path) -> int:
    """Open a regular file of a study to add to its end, or make it; return its descriptor.

    Raises:
        OSError: If it cannot be written, or is refused.
    """
    descriptor = _open(path, APPENDING)
    try:
        _check(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Read all of a regular file of a study.

    Args:
        path: The file.
        max_bytes: How large files of its kind may be.

    Raises:
        OSError: If it is not there, cannot be read, or is refused.
    """
    with open_regular(path) as (descriptor, status):
        refuse_size(path, status.st_size, max_bytes)
        content = read_exactly(descriptor, status.st_size)
        if len(content) == status.st_size and not os.read(descriptor, 1):
            return content
        raise RefusedFileError(path, "it changes while it is read")


def read_exactly(descriptor: int, size: int) -> bytes:
    """Read so many bytes from where a file stands; fewer where it ends before."""
    first = os.read(descriptor, size)
    if len(first) == size:
        return first
    parts, left = [first], size - len(first)
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_tail(path: Path, max_bytes: int = TAIL_BYTES) -> tuple[bytes, int]:
    """Read the end of a regular file of a study, however large it is.

    Returns:
        The bytes at the end, and how many before them were passed over.

    Raises:
        OSError: If it is not there, cannot be read, or is refused.
    """
    with open_regular(path) as (descriptor, status):
        skipped = max(0, status.st_size - max_bytes)
        os.lseek(descriptor, skipped, os.SEEK_SET)
        return read_exactly(descriptor, max_bytes), skipped


def refuse_size(path: Path, size: int, max_bytes: int) -> None:
    """Raise where a file is larger than its kind may be.

    Raises:
        RefusedFileError: With both sizes.
    """
    if size > max_bytes:
        raise RefusedFileError(path, f"it has {size:,} bytes, and such a file at most {max_bytes:,}")


def is_regular(path: Path) -> bool:
    """Tell whether a regular file, or a link to one, is there; False too where that cannot be seen."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - a name may be none of a file
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Tell whether something of this name is there; False too where that cannot be seen."""
    try:
        os.stat(path)  # noqa: PTH116 - a name may be none of a file
    except (OSError, ValueError):
        return False
    return True


def find_obstacle(path: Path) -> str | None:
    """Return why what is at a path cannot be seen, in the operating system's words; None where it can, or is absent."""
    try:
        os.stat(path)  # noqa: PTH116 - a name may be none of a file
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error.strerror
    except ValueError as error:
        return str(error)
    return None


def _open(path: Path, flags: int) -> int:
    try:
        try:
            return os.open(path, flags, 0o644)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a FIFO that nobody reads, or a socket
                raise RefusedFileError(path, "it is a FIFO or a socket, not a regular file") from error
            if error.errno != errno.ELOOP:
                raise
        target = os.path.realpath(path, strict=True)
        if not _lies_inside(target, path):
            raise RefusedFileError(path, "it leads out of its study's folder")
        return os.open(target, flags, 0o644)
    except ValueError as error:
        raise RefusedFileError(path, f"its name is none of a file: {error}") from error


def _check(descriptor: int, path: Path) -> os.stat_result:
    """Return the status of an open file; refuse it where it is no regular file, or not one of the study.

    Raises:
        RefusedFileError: If it is refused.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "a device")
        raise RefusedFileError(path, f"it is {kind}, not a regular file")
    # Folders on the way may be links too. What the kernel says about the open file cannot change any more.
    found = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - in the middle of every read
    if found != os.fspath(path) and not _lies_inside(found.removesuffix(" (deleted)"), path):
        raise RefusedFileError(path, "it leads out of its study's folder")
    return status


def _lies_inside(target: str, path: Path) -> bool:
    """Tell whether a resolved path lies inside the study that a path names."""
    root = str(_find_root(path))
    # What was resolved before may be out of date, where a store was moved behind a link.
    return any(target.startswith(f"{real.rstrip('/')}/") for real in (_resolve(root), os.path.realpath(root)))


@lru_cache(maxsize=256)
def _resolve(folder: str) -> str:
    return os.path.realpath(folder)


def _find_root(path: Path) -> Path:
    """Return the study's folder above a file: the outermost one with a plan, since a run's folder may be forged."""
    above = list(path.absolute().parents)[:DEPTH]
    return next((folder for folder in reversed(above) if is_there(folder / PLAN)), above[0])
