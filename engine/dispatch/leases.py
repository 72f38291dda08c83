"""Leases the machine's slots: two studies of one user on one machine never train in the same slot at once.

A lease is an advisory lock (flock) on a file that is local to the machine. The kernel releases it when its
holder ends, however it ends; nothing has to be cleaned up. The files lie in a folder that is the user's alone:
in a shared one, anybody could hold every slot for ever, or have the program write to another file. What other
users train is seen in the load of the devices.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Generator
from pathlib import Path

import msgspec

from engine.decoding import convert
from engine.errors import NondetError
from engine.study.paths import StudyPaths

LEASES_VARIABLE = "NONDET_LEASES"
DEFAULT = Path("/tmp")
"""Where the folder of the leases is, unless TMPDIR names a folder that can be written."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Names the process that holds a lease, as others are shown it who want the lease too."""

    study: str
    pid: int


UNKNOWN = Holder(study="", pid=0)
"""Stands for a process that does not say who it is."""


def describe_holder(paths: StudyPaths) -> Holder:
    """Return this process as the holder of a study's lease."""
    return Holder(study=paths.name, pid=os.getpid())


def find_lease_folder() -> Path:
    """Find where this user's leases are: $NONDET_LEASES, else a folder of the user's own in $TMPDIR or /tmp.

    Raises:
        NondetError: If the variable holds a relative path, which would be another folder in each process.
    """
    # No file is written to try a folder out, as tempfile does: on a full disk, processes would come to different ones.
    chosen = Path(os.environ.get("TMPDIR") or DEFAULT)
    usable = chosen.is_absolute() and chosen.is_dir() and os.access(chosen, os.W_OK | os.X_OK)
    shared = chosen if usable else DEFAULT
    folder = Path(os.environ.get(LEASES_VARIABLE) or shared / f"nondet-tui-leases-{os.geteuid()}")
    if not folder.is_absolute():
        raise NondetError(f"{LEASES_VARIABLE} = {str(folder)!r}: must be an absolute path: write {folder.absolute()}")
    return folder


class Lease:
    """Holds one lock file, this process's alone from `acquire` to `release`, or to the end of the process."""

    def __init__(self, key: str) -> None:
        """Keep the name of the slot, without taking its lease; see `acquire`."""
        self.path = find_lease_folder() / f"{key}.lock"
        self._descriptor: int | None = None

    def acquire(self, holder: Holder) -> bool:
        """Take the lease if it is free.

        Args:
            holder: The text that is shown to others who want the lease.

        Returns:
            Whether this process holds it now.
        """
        if self._descriptor is not None:
            return True
        descriptor = _open(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, without a name
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _encode(holder))
        self._descriptor = descriptor
        # A child shares the lock as long as it has the descriptor: what a user's code starts must not keep the slot.
        os.register_at_fork(after_in_child=self.release)
        return True

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read_holder(self) -> Holder | None:
        """Return who holds it, `UNKNOWN` where the file does not say who; None where nobody does."""
        try:
            descriptor = _open(self.path)
        except NondetError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _decode(os.pread(descriptor, 4096, 0)) or UNKNOWN
        finally:
            os.close(descriptor)
        return None


def _encode(holder: Holder) -> bytes:
    """Return a holder as JSON in ASCII: the name of a study's folder need not be Unicode."""
    return json.dumps(msgspec.to_builtins(holder)).encode()


def _decode(content: bytes) -> Holder | None:
    """Return the holder in a lock file's content; None where it is damaged, or not written yet."""
    try:
        return convert(json.loads(content), Holder)
    except (ValueError, RecursionError):
        return None


def _open(path: Path) -> int:
    """Open a lock file of this user's, and make it where there is none.

    Raises:
        NondetError: If the folder or the file is not this user's alone, or cannot be written.
    """
    remedy = f"name another folder in {LEASES_VARIABLE}"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with _open_folder(path.parent, remedy) as folder:
            descriptor = os.open(path.name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise NondetError(
            f"{path}: cannot be opened as a lease ({error.strerror}): make it writable, or {remedy}"
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != os.geteuid():
        os.close(descriptor)
        raise NondetError(f"{path}: is no lease: not a file of your own with one name: remove it, or {remedy}")
    return descriptor


@contextlib.contextmanager
def _open_folder(folder: Path, remedy: str) -> Generator[int]:
    """Open the folder of the leases, and make it where there is none; see `_open` for what is raised."""
    if not folder.is_symlink() and not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or not folder.is_dir():
        raise NondetError(f"{folder}: must be a folder of your own for leases, and no link: remove it, or {remedy}")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise NondetError(f"{folder}: belongs to user {status.st_uid}, who could hold your slots: {remedy}")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise NondetError(f"{folder}: others may write in it: `chmod 700 {folder}`, or {remedy}")
        yield descriptor
    finally:
        os.close(descriptor)
