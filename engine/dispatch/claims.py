"""Claims runs, so that at most one live process trains each.

A claim is a folder that appears whole, with its owner inside: prepared under a private name and renamed to
attempts/<k>. Renaming onto an existing attempt fails, so of several claimants one wins; and as no attempt is
ever seen without its owner, a process killed in the middle of claiming leaves nothing that looks alive.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from engine.study.files import explain_write_errors
from engine.study.paths import AttemptPaths, RunPaths
from engine.study.processes import is_alive
from engine.study.records import find_record, write_record
from engine.study.run_records import AttemptRecord

CLAIMING_S = 600.0
"""How long a claim takes at most, the difference of two machines' clocks included."""


def claim(run: RunPaths, number: int, record: AttemptRecord) -> AttemptPaths | None:
    """Claim attempt `number` of a run.

    Args:
        run: The run.
        number: One more than the attempts seen so far.
        record: What attempt.json is to hold.

    Returns:
        The attempt, or None where another process was faster.

    Raises:
        StoreFullError: Where there is no room for the claim.
    """
    attempt = run.attempt(number)
    # Claimants on other machines and in other containers may have this process's number.
    private = run.attempts / f".claim-{os.getpid()}-{os.urandom(8).hex()}"
    with explain_write_errors(run.attempts):
        private.mkdir(parents=True)
    try:
        write_record(private / attempt.attempt.name, record)
        # An attempt folder is never empty, and rename refuses to replace a folder that is not.
        private.rename(attempt.folder)
    except FileExistsError:
        return None
    except OSError as error:
        if not attempt.folder.exists():
            raise error
        return None
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return attempt


def remove_stray_claims(attempts: Path) -> None:
    """Remove what claimants that were killed half-way left behind; what a live one is making stays."""
    for stray in attempts.glob(".claim-*"):
        made = find_record(stray / "attempt.json", AttemptRecord)
        alive = None if made is None else is_alive(made.owner)
        if alive is False or (alive is None and _is_old(stray)):
            shutil.rmtree(stray, ignore_errors=True)


def _is_old(folder: Path) -> bool:
    """Tell whether a folder was changed at another time than now, by any clock."""
    try:
        return abs(time.time() - folder.stat().st_mtime) > CLAIMING_S
    except OSError:
        return False
