"""Claims numbers, so that of any number of claimants on any machines exactly one wins: attempts at runs, supervisors.

A claim is a folder that appears whole, with its owner inside: prepared under a private name and renamed to the number.
Renaming onto an existing claim fails, so of several claimants one wins; and as no claim is ever seen without its
owner, a process killed in the middle of claiming leaves nothing that looks alive.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.study.files import explain_write_errors
from engine.study.paths import AttemptPaths, RunPaths, name_number
from engine.study.processes import is_alive
from engine.study.records import Record, find_record, write_record
from engine.study.run_records import AttemptRecord


def claim(run: RunPaths, number: int, record: AttemptRecord) -> AttemptPaths | None:
    """Claim attempt `number` of a run; see `claim_number`.

    Args:
        run: The run.
        number: One more than the attempts seen so far.
        record: What attempt.json is to hold.

    Returns:
        The attempt, or None where another process was faster.
    """
    attempt = run.attempt(number)
    return attempt if claim_number(run.attempts, number, attempt.attempt.name, record) else None


def claim_number(folder: Path, number: int, name: str, record: Record) -> bool:
    """Claim a number in a folder.

    Args:
        folder: Holds a folder for each number that was claimed.
        number: One more than those seen so far.
        name: The file that says whose the number is.
        record: What that file is to hold; no other claimant's is equal.

    Returns:
        Whether it is this process's now; False where another was faster.

    Raises:
        StoreFullError: Where there is no room for the claim.
    """
    claimed = folder / name_number(number)
    # Claimants on other machines and in other containers may have this process's number.
    private = folder / f".claim-{os.getpid()}-{os.urandom(8).hex()}"
    with explain_write_errors(folder):
        private.mkdir(parents=True)
    try:
        write_record(private / name, record)
        # A claim's folder is never empty, and rename refuses to replace a folder that is not.
        private.rename(claimed)
    except OSError:
        # A file server whose answer was lost is asked again, and then refuses what it has done before: what is there
        # decides, not the answer. A private folder that is still there was not renamed.
        if not claimed.exists():
            raise
        return not private.exists() and find_record(claimed / name, type(record)) == record
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return True


def remove_stray_claims(attempts: Path) -> None:
    """Remove what claimants of this machine that were killed half-way left behind.

    What others are making cannot be told from what they left: it stays until the run is done.
    """
    for stray in list_stray_claims(attempts):
        made = find_record(stray / "attempt.json", AttemptRecord)
        if made is not None and is_alive(made.owner) is False:
            shutil.rmtree(stray, ignore_errors=True)


def list_stray_claims(folder: Path) -> list[Path]:
    """Return claims that are being made, or were never finished."""
    return list(folder.glob(".claim-*"))
