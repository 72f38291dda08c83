"""Leases the machine's slots: two studies on one machine never train in the same slot at once.

A lease is an advisory lock (flock) on a file that is local to the machine. The kernel releases it when its
holder ends, however it ends; nothing has to be cleaned up.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from pathlib import Path

import msgspec

from engine.errors import NondetError
from engine.study.paths import StudyPaths

LEASES_VARIABLE = "NONDET_LEASES"


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
    """Find where this machine's leases are: $NONDET_LEASES, else a folder that all its users share.

    Raises:
        NondetError: If the variable holds a relative path, which would be another folder in each process.
    """
    folder = Path(os.environ.get(LEASES_VARIABLE) or Path(tempfile.gettempdir()) / "nondet-tui-leases")
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
        return msgspec.convert(json.loads(content), Holder)
    except (ValueError, RecursionError):
        return None


def _open(path: Path) -> int:
    """Open a lock file that any user of the machine may have created."""
    folder = path.parent
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            # The folder is shared like the temporary folder: all users may create files, none may remove another's.
            folder.chmod(0o1777)
        # Opening without O_CREAT comes first: the kernel refuses O_CREAT on another user's file in a sticky folder.
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            descriptor = os.open(path, flags | os.O_CREAT, 0o666)
            os.fchmod(descriptor, 0o666)
            return descriptor
    except OSError as error:
        remedy = f"make it writable, or name another folder in {LEASES_VARIABLE}"
        raise NondetError(f"{path}: cannot be opened as a lease ({error.strerror}): {remedy}") from error
