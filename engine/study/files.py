"""Writing a study's files so that no reader ever sees half of one, and reading them without trust."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator
from pathlib import Path

from engine.errors import StoreFullError, StudyError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def explain_write_errors(path: Path) -> Generator[None]:
    """Turn the operating system's refusals to write into errors that name the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            remedy = "make room there and run the same command again: the study goes on where it was"
            raise StoreFullError(f"{path}: no room left on this file system ({error.strerror}): {remedy}") from error
        if error.errno in NOT_WRITABLE:
            remedy = "check the folder's owner and mount, or choose another with --store"
            raise StudyError(f"{path}: cannot be written ({error.strerror}): {remedy}") from error
        refuse_exhaustion(error, path)
        if error.errno == errno.EFBIG:
            remedy = "raise it with `ulimit -f unlimited` and run the same command again"
            raise StudyError(
                f"{path}: is larger than the limit on the size of files that holds here: {remedy}"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EISDIR):
            raise StudyError(f"{path}: cannot be written ({error.strerror}): choose another --store") from error
        raise


def refuse_exhaustion(error: OSError, path: Path) -> None:
    """Raise where a file could not be opened for lack of file descriptors, which says nothing about the file itself.

    Raises:
        StudyError: If the process or the machine has too many files open.
    """
    if error.errno in NO_DESCRIPTORS:
        remedy = "raise the limit with `ulimit -n 4096` and run the same command again"
        raise StudyError(f"{path}: cannot be opened ({error.strerror}): {remedy}") from error


def make_folder(path: Path) -> None:
    """Create a folder and its parents; fine where it exists."""
    with explain_write_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file as a whole: complete under a sibling name first, on the disk, then moved.

    Raises:
        StoreFullError: Where there is no room; the old file, if any, is untouched.
        StudyError: Where the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explain_write_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
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
