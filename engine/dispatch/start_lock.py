"""The lock by which one command at a time starts a study: that command holds it, and those that would stop it look."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Generator

from engine.errors import StudyError
from engine.study.files import NO_ROOM, NOT_WRITABLE, make_folder
from engine.study.paths import StudyPaths

PATIENCE_S = 120.0
"""How long another command may take to write and start the same study."""

LOOK_S = 0.05
"""Seconds between two looks at the lock."""


@contextlib.contextmanager
def hold_start(paths: StudyPaths) -> Generator[None]:
    """Hold the study's lock, which the kernel gives back however this process ends.

    A folder that cannot be written needs none: nothing can be started there.

    Raises:
        StudyError: If another command holds it for too long, or it cannot be opened.
    """
    make_folder(paths.folder)
    try:
        descriptor = os.open(paths.start_lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in NOT_WRITABLE | NO_ROOM:
            raise StudyError(f"{paths.start_lock}: cannot be opened ({error.strerror}): remove it") from error
        yield
        return
    try:
        _wait_for(descriptor, paths)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, paths: StudyPaths) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                return  # a file system without locks
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                raise
        else:
            return
        if time.monotonic() > deadline:
            raise StudyError(
                f"{paths.folder}: another command has been starting this study for {PATIENCE_S:.0f} s: "
                "wait for it or end it, then run this one again"
            )
        time.sleep(LOOK_S)


def wait_while_starting(paths: StudyPaths) -> None:
    """Wait while another command starts this study: before that is over there is nothing that could be stopped.

    Raises:
        StudyError: If that takes longer than a start may take.
    """
    deadline = time.monotonic() + PATIENCE_S
    while is_being_started(paths):
        if time.monotonic() > deadline:
            raise StudyError(f"{paths.folder}: another command is still starting this study: end that one")
        time.sleep(LOOK_S)


def is_being_started(paths: StudyPaths) -> bool:
    """Tell whether another command keeps this study in order to start it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(paths.start_lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
