"""The pairs of one arm's replicas, compared by the process that measures; nothing is computed here."""

from __future__ import annotations

from engine.study.pairs_record import ArmPairs
from engine.study.paths import StudyPaths
from tui.commands.measuring import ask


def find_pairs(paths: StudyPaths, arm: str) -> ArmPairs:
    """Compare every two replicas of an arm in another process.

    Raises:
        StudyError: If they cannot be, with what the process said.
    """
    return ask(ArmPairs, str(paths.folder), arm)
