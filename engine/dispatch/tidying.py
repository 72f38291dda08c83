"""Clears a study of what is of no use any more: requests that later ones took back, and leftovers of finished runs.

Nothing is cleared that another process may still need. A request goes only when the one that takes it back has been
there for so long that no reader has listed the folder before; a checkpoint and a claim that nobody finished when their
run is done; half a file when nobody has written to it for an hour, by the clock of the store itself.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.dispatch.claims import list_stray_claims
from engine.study.control import find_obeyed
from engine.study.paths import StudyPaths
from engine.study.snapshot import StudySnapshot

LOG = logging.getLogger(__name__)

PERIOD_S = 60.0
"""Seconds between two rounds."""

HALF_FILE_S = 3600.0
"""Age after which a file under a temporary name has no writer any more."""

RUNS_AT_ONCE = 500
"""Finished runs that one round looks into at most: a round must not take long."""


@dataclass
class Tidying:
    """Remembers which runs are tidy, and when the next round is due; see `clear`."""

    tidy: set[str] = field(default_factory=set[str])
    due: float = 0.0
    """Of the steady clock."""

    def clear(self, paths: StudyPaths, snapshot: StudySnapshot, *, at_once: bool = False) -> None:
        """Clear what is of no use; what cannot be removed stays.

        Args:
            paths: The study.
            snapshot: Which of its runs are done.
            at_once: Clear all of it now; otherwise a part of it now and then.
        """
        now = time.monotonic()
        if now < self.due and not at_once:
            return
        self.due = now + PERIOD_S
        now_s = _read_store_clock(paths)
        for path in (*find_obeyed(paths), *_find_half_files([paths.folder, paths.forks], now_s)):
            _remove(path)
        done = [run.id for run in snapshot.runs.values() if run.state.status == "done" and run.id not in self.tidy]
        for run_id in done if at_once else done[:RUNS_AT_ONCE]:
            for path in _find_leftovers(paths, run_id, now_s):
                _remove(path)
            for path in list_stray_claims(paths.run(run_id).attempts):
                shutil.rmtree(path, ignore_errors=True)
            self.tidy.add(run_id)


def _read_store_clock(paths: StudyPaths) -> float:
    """Return the time by the clock that stamps the store's files, which is a server's where the store is on one."""
    try:
        return paths.supervisor_beat.stat().st_mtime
    except OSError:
        return 0.0  # nothing is old then


def _find_leftovers(paths: StudyPaths, run_id: str, now_s: float) -> Iterator[Path]:
    """Yield what a finished run's attempts left for a later one, and half files."""
    run = paths.run(run_id)
    attempts = run.list_attempts()
    yield from _find_half_files([run.folder, *(attempt.folder for attempt in attempts)], now_s)
    yield from (attempt.checkpoint for attempt in attempts)


def _find_half_files(folders: Iterable[Path], now_s: float) -> Iterator[Path]:
    """Yield the files of some folders that have a temporary name, and had no writer for an hour."""
    for folder in folders:
        try:
            found = list(folder.glob(".*.tmp"))
            yield from (path for path in found if now_s - path.lstat().st_mtime > HALF_FILE_S)
        except OSError:
            continue


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        LOG.info("%s: cannot be removed (%s)", path, error.strerror)
