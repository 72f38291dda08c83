"""Follows a study's plan: as it was written, and as it holds now that its comparison may have been decided."""

from __future__ import annotations

from engine.study.decision_record import DecisionRecord, read_decision
from engine.study.paths import StudyPaths
from engine.study.study_plan import StudyPlan, read_whole_plan

Stamp = tuple[tuple[int, int], ...]


class FollowedPlan:
    """Reads the plan of a study again when it has changed, or when something was decided."""

    def __init__(self, paths: StudyPaths) -> None:
        """Read the plan.

        Raises:
            StudyError: If there is none that can be read.
        """
        self.paths = paths
        self._read()

    def renew(self) -> None:
        """Read again what has changed.

        Raises:
            StudyError: If the plan has gone or is damaged.
        """
        stamp = self._look()
        if stamp is not None and stamp != self._stamp:
            self._read()

    def _read(self) -> None:
        self._stamp = self._look()  # before the files, so that what changes meanwhile is read again
        self.whole: StudyPlan = read_whole_plan(self.paths)
        """With the most replicas that there may be."""
        self.decision: DecisionRecord | None = read_decision(self.paths, self.whole.arms, self.whole.compare)
        self.now: StudyPlan = self.whole.cut(self.decision)
        """With the replicas that count."""

    def _look(self) -> Stamp | None:
        """Return what changes with the files; None where they cannot be looked at, which says nothing about them."""
        found: list[tuple[int, int]] = []
        for path in (self.paths.plan, self.paths.decision):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                found.append((0, 0))
            except OSError:
                return None
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)
