"""Writes a run's files so that those of two attempts are never mixed, however late one of them comes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.study.files import move_files, remove_file, write_aside
from engine.study.paths import AttemptPaths
from engine.study.run_records import is_fenced
from engine.training.full_store import patiently
from engine.training.stopping import Fenced


def write_run(attempt: AttemptPaths, files: Mapping[Path, bytes]) -> None:
    """Write the files of a run, its result last: beside the attempt first, then moved one right after the other.

    Before they are moved, a last look makes certain that no other process has been given the run.

    Raises:
        Fenced: If the run was taken from this process; none of the files is left then.
    """
    aside = [
        (patiently(lambda path=path, content=content: write_aside(attempt.folder, path.name, content)), path)
        for path, content in files.items()
    ]
    if is_fenced(attempt):
        for written, _ in aside:
            patiently(lambda written=written: remove_file(written))
        raise Fenced
    patiently(lambda: move_files(aside))
    patiently(lambda: remove_file(attempt.run.damage))
