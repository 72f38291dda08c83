"""Finds where a user's own program goes on: from the checkpoint of an earlier attempt, or of a part cut on purpose.

A checkpoint is the file or folder {out}/checkpoint, or of several {out}/checkpoint-NUMBER that of the largest number.
It is used only where the self-test has proved that going on gives the same predictions to the bit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.catalog.placeholders import CHECKPOINT
from engine.plan.records import SelfTest
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.files import explain_write_errors
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord
from engine.study.selftest_record import SelfTestRecord
from engine.training.commands.settings import OUT

NUMBERED = re.compile(rf"{CHECKPOINT}-(\d{{1,12}})")

STEADY_S = 0.3
"""A checkpoint that has not changed for so long is taken for complete; one that was replaced by another always is."""


@dataclass(frozen=True)
class Point:
    """Says what a program goes on from."""

    attempt: int
    """The attempt that left it."""
    checkpoint: Path
    epochs: Sequence[EpochRecord]
    """What was reported until then, and perhaps a little longer."""


def find_checkpoint(out: Path) -> Path | None:
    """Return the checkpoint that a program has left in its {out}; None where there is none."""
    plain = out / CHECKPOINT
    if plain.exists():
        return plain
    try:
        numbered = [(int(match[1]), path) for path in out.iterdir() if (match := NUMBERED.fullmatch(path.name))]
    except OSError:
        return None
    return max(numbered)[1] if numbered else None


def find_point(paths: StudyPaths, selftest: SelfTest | None, attempt: AttemptPaths) -> Point | str:
    """Return what an attempt goes on from, or why it starts from its beginning.

    Args:
        paths: The study.
        selftest: The runs that prove that a program goes on to the same bits.
        attempt: It is never the first of its run.
    """
    test = find_record(paths.selftest, SelfTestRecord)
    if test is None or selftest is None or test.runs != selftest.runs or test.resume is None:
        return "the self-test has not proved yet that going on from a checkpoint is bit-identical"
    if not test.resume.identical:
        return f"the self-test has not proved that going on is bit-identical: {test.resume.reason}"
    now = find_record(attempt.attempt, AttemptRecord)
    for earlier in reversed(attempt.run.list_attempts()):
        if earlier.number >= attempt.number or (checkpoint := find_checkpoint(earlier.folder / OUT)) is None:
            continue
        before = find_record(earlier.attempt, AttemptRecord)
        if before is None or now is None or (before.packages, before.versions) != (now.packages, now.versions):
            return f"attempt {earlier.number}, which left a checkpoint, had other packages"
        return Point(earlier.number, checkpoint, read_epochs(earlier.epochs).records)
    return "no earlier attempt has left a checkpoint"


def clear_out(attempt: AttemptPaths) -> Path:
    """Rename what a part of an attempt has left in {out}, so that the next part finds it empty; return the new name."""
    out = attempt.folder / OUT
    number = 1
    while (aside := attempt.folder / f"{OUT}-{number}").exists():
        number += 1
    with explain_write_errors(out):
        out.rename(aside)
    return aside


@dataclass
class Cut:
    """Decides when a self-test kills a program: as soon as a checkpoint is there that is whole."""

    out: Path
    seen: tuple[object, ...] | None = None
    """How the checkpoint looked, and for how long it has."""
    since: float = 0.0
    files: frozenset[int] = frozenset()
    """Numbers of the file that had its name."""
    done: bool = False

    def is_due(self) -> bool:
        """Look at the checkpoint; tell whether the program is to be killed now."""
        checkpoint = None if self.done else find_checkpoint(self.out)
        if checkpoint is None:
            return False
        try:
            looks, number = _look_at(checkpoint), checkpoint.stat().st_ino
        except OSError:
            return False  # it is being replaced
        now = time.monotonic()
        if looks != self.seen:
            self.seen, self.since = looks, now
        self.files |= {number}
        # A file that took the place of another was renamed to that name, when it was complete.
        self.done = now - self.since >= STEADY_S or (checkpoint.is_file() and len(self.files) > 1)
        return self.done

    def explain(self) -> str:
        """Say why the program was not killed, once it has ended."""
        if self.seen is None:
            return "the program left no {out}/checkpoint before it ended"
        return "the program ended so soon after its first checkpoint that it could not be cut"


def _look_at(checkpoint: Path) -> tuple[object, ...]:
    """Return what changes while a file or a folder is written."""
    paths = [checkpoint, *sorted(checkpoint.rglob("*"))] if checkpoint.is_dir() else [checkpoint]
    return tuple((str(path), (status := path.stat()).st_size, status.st_mtime_ns, status.st_ino) for path in paths)
