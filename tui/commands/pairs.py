"""The pairs of one arm's replicas, compared by the process that measures; nothing is computed here."""

from __future__ import annotations

import subprocess

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.study.pairs_record import ArmPairs
from engine.study.paths import StudyPaths
from engine.study.records import decode_record


def find_pairs(paths: StudyPaths, arm: str) -> ArmPairs:
    """Compare every two replicas of an arm in another process.

    Raises:
        StudyError: If they cannot be, with what the process said.
    """
    arguments = command("engine.metrics", str(paths.folder), arm)
    done = subprocess.run(arguments, capture_output=True, cwd="/", check=False)
    found = decode_record(done.stdout, ArmPairs) if done.returncode == 0 else done.stderr.decode(errors="replace")
    if isinstance(found, str):
        raise StudyError(found.strip() or f"comparing pairs ended with exit status {done.returncode}")
    return found
