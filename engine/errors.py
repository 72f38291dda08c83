"""The one family of errors that users see; every message says where, what, what is allowed and what to do.

Faults of ours (broken invariants) raise ValueError or AssertionError instead and are never caught.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_RUNS_FAILED = 1
EXIT_USAGE = 2
EXIT_UNDECIDED = 3
EXIT_INTERRUPTED = 130


class NondetError(Exception):
    """A fault that the user can repair; shown as one message, without a traceback."""

    exit_code = EXIT_USAGE


class StudyError(NondetError):
    """A study folder that cannot be read, written or used as asked."""


class StoreUnavailableError(StudyError):
    """A store that cannot be read or written at this moment, and may be later."""

    exit_code = EXIT_RUNS_FAILED


class StoreForbiddenError(StoreUnavailableError):
    """A store whose owner, mode or mount does not let it be read or written."""

    exit_code = EXIT_USAGE


class StoreFullError(StoreUnavailableError):
    """The store's file system has no room (or no inodes or quota) left."""


class DataError(NondetError):
    """A data set that is absent, damaged or not usable; names the file and the remedy."""


class ModelError(NondetError):
    """A model that cannot be built for the data, or is not usable as a classifier."""


class BatchError(NondetError):
    """A training step that does not fit into the memory of its device."""


class PerturbationError(NondetError):
    """A bit change that would have no effect, or names no parameter of the model."""


class PackError(NondetError):
    """Packs that do not work on this machine."""

    def __init__(self, problem: str, remedy: str) -> None:
        """Describe the problem, and keep the remedy: a sentence that says what to do about it."""
        super().__init__(problem)
        self.remedy = remedy


class CompileError(NondetError):
    """A network whose kernels torch.compile cannot make, here or at all."""


def read_text(error: BaseException) -> str:
    """Return the text of an error; an empty one where a user's error raises another when it is asked for it."""
    try:
        return str(error)
    except BaseException:  # whatever a user's code raises there
        return ""


def summarise_error(error: BaseException) -> str:
    """Return the type of an error and the first line of what it says."""
    text = read_text(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
