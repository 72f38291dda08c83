"""Writes a study's files so that no reader ever sees half of one; `opening` reads them without trust."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeVar

from engine.errors import StoreForbiddenError, StoreFullError, StoreUnavailableError, StudyError
from engine.study.opening import RefusedFileError

T = TypeVar("T")

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
PASSING = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EREMOTEIO,
    errno.EHOSTDOWN,
    errno.ENOTCONN,
    errno.ENODEV,
    errno.EAGAIN,
    errno.EINTR,
    errno.EBUSY,
}
"""What a disk or a network mount says that may be well again a moment later."""
RETRY_S = 10.0
"""How long a write is tried again after one of those."""
STORE, OUT = "--store", "folder for it"
"""What a person can choose another of: the folder of all studies, or that of a report."""
NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
ROOM_BYTES = 1_000_000
"""Less than this left on a file system is no room."""


@contextlib.contextmanager
def explain_write_errors(path: Path, *, place: str = STORE) -> Generator[None]:
    """Turn the operating system's refusals to write into errors that name the remedy.

    Args:
        path: What is written.
        place: What a person can choose another of, so that it is written elsewhere.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            remedy = "make room there and run the same command again: the study goes on where it was"
            raise StoreFullError(f"{path}: no room left on this file system ({error.strerror}): {remedy}") from error
        if error.errno in NOT_WRITABLE:
            remedy = f"check the folder's owner and mount, or choose another {place}"
            raise StoreForbiddenError(f"{path}: cannot be written ({error.strerror}): {remedy}") from error
        if error.errno in PASSING:
            remedy = "check the disk or the server and run the same command again: finished runs are kept"
            raise StoreUnavailableError(f"{path}: cannot be written now ({error.strerror}): {remedy}") from error
        if isinstance(error, RefusedFileError):
            raise StudyError(f"{path}: cannot be written ({error.strerror}): remove it") from error
        refuse_exhaustion(error, path)
        if error.errno == errno.EFBIG:
            remedy = "raise it with `ulimit -f unlimited` and run the same command again"
            raise StudyError(
                f"{path}: is larger than the limit on the size of files that holds here: {remedy}"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP):
            raise StudyError(f"{path}: cannot be written ({error.strerror}): choose another {place}") from error
        raise


def retry(write: Callable[[], T]) -> T:
    """Write, and try again for a while after an error that may pass.

    Raises:
        OSError: That of the last try.
    """
    deadline, pause_s = time.monotonic() + RETRY_S, 0.05
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in PASSING or time.monotonic() > deadline:
                raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)


def refuse_exhaustion(error: OSError, path: Path) -> None:
    """Raise where a file could not be opened for lack of file descriptors, which says nothing about the file itself.

    Raises:
        StudyError: If the process or the machine has too many files open.
    """
    if error.errno in NO_DESCRIPTORS:
        remedy = "raise the limit with `ulimit -n 4096` and run the same command again"
        raise StudyError(f"{path}: cannot be opened ({error.strerror}): {remedy}") from error


def describe_obstacle(folder: Path) -> str:
    """Say why a folder could not be written a moment ago, as far as that can be seen now."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: cannot be written: give the permission back, or mount it to be written, and run it again"
    try:
        room = os.statvfs(folder)
    except OSError as error:
        return f"{folder}: its file system fails ({error.strerror}): check the disk or the server, and run it again"
    if room.f_bavail * room.f_frsize >= ROOM_BYTES and room.f_favail:
        causes = "no room, a quota that is used up, or a failing file system"
        return f"{folder}: could not be written for a while ({causes}): see the logs of its runs, and run it again"
    return f"{folder}: no room left on this file system: make room and run it again"


def remove_file(path: Path) -> None:
    """Remove a file; fine where there is none."""
    with explain_write_errors(path):
        path.unlink(missing_ok=True)


def make_folder(path: Path, *, place: str = STORE) -> None:
    """Create a folder and its parents; fine where it exists.

    Args:
        path: The folder.
        place: As in `explain_write_errors`.

    Raises:
        StudyError: Where that cannot be.
    """
    try:
        with explain_write_errors(path, place=place):
            retry(lambda: path.mkdir(parents=True, exist_ok=True))
    except FileNotFoundError as error:  # not even its parents could be made, as below /proc
        raise StudyError(f"{path}: no folder can be made there ({error.strerror}): choose another {place}") from error


def write_bytes(path: Path, content: bytes, *, place: str = STORE) -> None:
    """Replace a file as a whole: complete under a sibling name first, on the disk, then moved.

    Args:
        path: The file.
        content: What it holds then.
        place: As in `explain_write_errors`.

    Raises:
        StoreFullError: Where there is no room; the old file, if any, is untouched.
        StudyError: Where the folder cannot be written, or its file system fails.
    """
    with explain_write_errors(path, place=place):
        retry(lambda: _replace(path, content))


def write_aside(folder: Path, name: str, content: bytes) -> Path:
    """Write a file under a temporary name in a folder, on the disk; return its path, to be moved to where it belongs.

    Raises:
        StoreFullError: Where there is no room; nothing is left behind.
        StudyError: Where the folder cannot be written, or its file system fails.
    """
    with explain_write_errors(folder / name):
        return retry(lambda: _write_temporary(folder, name, content))


def move_files(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move files that were written aside to where they belong, one right after the other; each replaces what is there.

    One that has gone was moved by an earlier try whose answer was lost.
    """
    for source, target in moves:
        with explain_write_errors(target):
            retry(lambda source=source, target=target: _move(source, target))


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except FileNotFoundError:
        if not target.exists():
            raise


def _write_temporary(folder: Path, name: str, content: bytes) -> Path:
    # Two containers may have processes of one number: the name has to differ by itself.
    temporary = folder / f".{name}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):  # the first error says more
            temporary.unlink(missing_ok=True)
        raise
    return temporary


def _replace(path: Path, content: bytes) -> None:
    temporary = _write_temporary(path.parent, path.name, content)
    try:
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error says more
            temporary.unlink(missing_ok=True)
        raise


def create_file(path: Path, content: bytes) -> bool:
    """Write a file that must not be there yet; of several processes that try at once, one succeeds.

    Returns:
        Whether it was written; False where the file exists.

    Raises:
        StoreFullError: Where there is no room; nothing is left behind.
        StudyError: Where the folder cannot be written.
    """
    with explain_write_errors(path):
        return retry(lambda: _create(path, content))


def _create(path: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True
